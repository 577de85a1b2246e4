package zoho

import (
	"maps"
	"slices"
)

// Host is a host of Zoho's in one data center.
type Host struct {
	Name string
	// Service is the one that has it for itself, "" where several share it.
	Service string
	// Accounts is the authorization server.
	Accounts bool
	// Files says that it holds files or takes them: the hosts for uploads and downloads, and WorkDrive's own.
	Files bool
}

// Hosts are all hosts of a data center, by name: what the proxy may call there. A custom data center
// has none; its two URLs are all.
func (dc DataCenter) Hosts() []Host {
	if dc.Custom {
		return nil
	}
	var hosts []Host
	for _, name := range slices.Sorted(maps.Keys(hostIndex)) {
		e := hostIndex[name]
		if e.center.dc.Code == dc.Code && name == e.center.hosts[e.role] {
			hosts = append(hosts, Host{Name: name, Service: e.service, Accounts: e.role == roleAccounts, Files: e.isFiles()})
		}
	}
	return hosts
}

// FileHost gives the host for files of that very name, in exactly these letters, if the data center
// has one.
func (dc DataCenter) FileHost(name string) (Host, bool) {
	e, ok := hostIndex[name]
	if !ok || dc.Custom || e.center.dc.Code != dc.Code || !e.isFiles() {
		return Host{}, false
	}
	return Host{Name: e.center.hosts[e.role], Service: e.service, Files: true}, true
}
