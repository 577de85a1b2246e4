package zoho

// OriginTarget describes one origin that everything is sent to, whatever its
// path: a server of the operator's choice. Plain http is for this machine only.
func OriginTarget(origin string) (Target, error) {
	u, err := originURL("origin", origin)
	if err != nil {
		return Target{}, err
	}
	return Target{Scheme: u.Scheme, Host: u.Host}, nil
}
