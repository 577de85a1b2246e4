package zoho

import "fmt"

// OriginTarget describes one origin that everything is sent to, whatever its
// path: a server of the operator's choice. Plain http is for this machine only.
func OriginTarget(origin string) (Target, error) {
	u, err := baseURL("origin", origin)
	if err != nil {
		return Target{}, err
	}
	if u.Path != "" {
		return Target{}, fmt.Errorf("origin %s has a path; give scheme and host only: %s://%s", show(origin), u.Scheme, u.Host)
	}
	return Target{Scheme: u.Scheme, Host: u.Host}, nil
}
