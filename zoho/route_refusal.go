package zoho

import (
	"fmt"
	"strings"
)

// unknownHost explains a host that the table does not hold.
func (dc DataCenter) unknownHost(host string, o RouteOptions) (isZoho bool, err error) {
	h := domainOwner(host)
	switch {
	case h == nil:
		return false, ErrTarget
	case !dc.mapsFrom(h.dc, o):
		return true, dc.otherDataCenter(host, h.dc)
	}
	name, _, _ := strings.Cut(strings.ToLower(host), ".")
	if s, ok := serviceIndex[name]; ok {
		return true, fmt.Errorf("%w: no API is known at %s; %s", ErrServiceUnknown, show(host), dc.whereIs(s))
	}
	if why := LeftOut(name); why != "" {
		return true, fmt.Errorf("%w: no API is known at %s; for %s, %s%s", ErrServiceUnknown, show(host), name, why, ifThereIs)
	}
	return true, fmt.Errorf("%w: no API is known at %s%s", ErrServiceUnknown, show(host), ifThereIs)
}

// ifThereIs is what an operator can do who knows better than the table.
const ifThereIs = "; if it has an API that takes OAuth tokens, the operator can add it with `custom_service` in the global " +
	"option zoho, or with its own zoho_proxy and `upstream https://HOST`"

// notAtGateway explains a path that the gateway does not serve.
func (dc DataCenter) notAtGateway(path string) error {
	name := firstSegment(path)
	if s, ok := serviceIndex[name]; ok {
		return fmt.Errorf("%w: %s is not behind the gateway; %s", ErrServiceUnknown, name, dc.whereIs(s))
	}
	return unknownService(name)
}

// whereIs says how a service is reached in the data center.
func (dc DataCenter) whereIs(s serviceEntry) string {
	host := s.HostAt(dc)
	switch {
	case dc.Custom:
		return fmt.Sprintf("%s is reached by path, /%s/", s.Name, s.Name)
	case s.AbsentAt(dc.Code):
		return fmt.Sprintf("%s is not offered in the data center %s", s.Name, dc.Code)
	case s.Gateway:
		return fmt.Sprintf("%s is behind the gateway: %s%s, or by path %s", s.Name, hostsByCode[dc.Code].hosts[roleGateway],
			s.Base, s.Base)
	case host == "":
		return fmt.Sprintf("the hosts of %s are known only in the data center%s", s.Name, listed(s.centers()))
	}
	return fmt.Sprintf("%s has its own host: %s%s, or by path /%s%s", s.Name, host, s.Base, s.Name, s.Base)
}

// listed is " us" or "s us, in", to be read after the word.
func listed(codes []string) string {
	if len(codes) == 1 {
		return " " + codes[0]
	}
	return "s " + strings.Join(codes, ", ")
}

// centers are the codes of the data centers where the service has a host of its own.
func (s Service) centers() []string {
	var codes []string
	for _, dc := range dataCenters {
		if s.HostAt(dc) != "" {
			codes = append(codes, dc.Code)
		}
	}
	return codes
}

// noHost explains a service without a host of role r in the data center.
func (dc DataCenter) noHost(s serviceEntry, r role) error {
	switch {
	case s.AbsentAt(dc.Code) || r == s.role && s.at != nil:
		return fmt.Errorf("%w: %s", ErrServiceUnknown, dc.whereIs(s))
	case r == roleGateway:
		return fmt.Errorf("%w: data center %s has no known API gateway, and %s is behind the gateway",
			ErrServiceUnknown, dc.Code, s.Name)
	case r == roleSandbox || r == roleDeveloper:
		return fmt.Errorf("%w: data center %s has no known host for sandboxes of %s", ErrServiceUnknown, dc.Code, s.Name)
	case r == roleContent:
		return fmt.Errorf("%w: data center %s has no known host for uploads of %s", ErrServiceUnknown, dc.Code, s.Name)
	}
	return fmt.Errorf("%w: data center %s has no known host for %s", ErrServiceUnknown, dc.Code, s.Name)
}

func (dc DataCenter) otherDataCenter(host string, other DataCenter) error {
	return fmt.Errorf("%w: %s belongs to %s, and the connection to %s", ErrDataCenter, show(host), other.Code, dc.Code)
}

func unknownService(name string) error {
	if name == "" {
		return fmt.Errorf("%w: the path names no service", ErrServiceUnknown)
	}
	if name == ProfileService {
		return fmt.Errorf("%w: %s is served only at %s", ErrServiceUnknown, name, ProfilePath)
	}
	if why := LeftOut(strings.TrimPrefix(strings.ToLower(name), "zoho")); why != "" {
		return fmt.Errorf("%w: %s: %s%s", ErrServiceUnknown, show(name), why, ifThereIs)
	}
	if near := NearestService(name); near != "" {
		return fmt.Errorf("%w: %s; did you mean %s?", ErrServiceUnknown, show(name), near)
	}
	return fmt.Errorf("%w: %s", ErrServiceUnknown, show(name))
}
