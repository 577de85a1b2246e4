package zoho

import "strings"

// role is what a Zoho host is for; other data centers fill it with a host of
// their own: www.zohoapis.com and www.zohoapis.eu, desk.zoho.com and
// desk.zohocloud.ca. Moving a request to another data center means keeping the
// role. All names are put together once, so that routing allocates nothing.
type role uint8

// Roles of hosts that several services share, or that none is reached at;
// those of product hosts are numbered from roleProduct on.
const (
	roleGateway role = iota
	roleSandbox
	roleDeveloper
	roleAccounts
	roleUpload       // where WorkDrive takes uploads
	roleDownload     // where its files are read
	roleDownloadAccl // where the files are that answers point at: backups, bulk results, audit logs, recordings
	roleContent      // where the CRM family takes uploads
	roleProduct
)

// Labels of product hosts that routing knows.
const workDriveLabel = "workdrive"

// isFiles reports whether hosts of that role hold files, or take them, and nothing else.
func (r role) isFiles() bool { return roleUpload <= r && r <= roleContent }

// dcHosts is a data center with all its host names, "" where it has none.
type dcHosts struct {
	dc     DataCenter
	hosts  []string // by role
	absent []string // services that are known not to be offered there
}

// hostEntry says what a host name stands for.
type hostEntry struct {
	center  *dcHosts
	role    role
	service string // "" if the path names it
	// shared is WorkDrive's role on the hosts that it shares with the CRM
	// family's uploads (upload.zohocloud.ca, files.zoho.sa): the path decides.
	shared role
}

// isFiles reports whether it is a host for files: those of the roles for them, and WorkDrive's own,
// which reads and takes them as well.
func (e hostEntry) isFiles() bool { return e.role.isFiles() || e.service == workDriveLabel }

// byPath completes an entry of a host that several services share. At the gateway and where the CRM
// family takes uploads, paths name the service in their first segment; where files are, in their
// second one (/v2/crm/…), or they are WorkDrive's.
func (e hostEntry) byPath(path string) hostEntry {
	files := e.shared // where files are, 0 for nowhere
	if e.role.isFiles() && e.role != roleContent {
		files = e.role
	}
	first := firstSegment(path)
	if files != 0 && isVersion(first) {
		if s, ok := serviceIndex[firstSegment(path[len("/")+len(first):])]; ok {
			e.role, e.service = files, s.Name
			return e
		}
	}
	if s, ok := serviceIndex[first]; ok && s.Gateway {
		e.service = s.Name
		return e
	}
	if files != 0 && (files == e.role || first == "workdrive-api") {
		// All else is WorkDrive's, unless somebody has spelled another service's path such that it is not seen.
		if plain := loosely(path); plain != path && strings.HasPrefix(path, "/") {
			if other := e.byPath(plain); other.service != "" {
				return other
			}
		}
		e.role, e.service = files, workDriveLabel
	}
	return e
}

// ServiceOfPath gives the service that the path's first segment names, "" if
// none. It is for requests to a server that goes by the path alone.
func ServiceOfPath(path string) string {
	if path == ProfilePath {
		return ProfileService
	}
	if s, ok := serviceIndex[firstSegment(path)]; ok {
		return s.Name
	}
	return ""
}

// serviceEntry is a service with the role of its own host.
type serviceEntry struct {
	Service
	role role
}

var (
	serviceIndex  = indexServices()
	hostsByCode   = indexDataCenters()
	hostIndex     = indexHosts()
	dialAddresses = indexDialAddresses()
)

// eachProductHost calls f for each kind of product host, with the role that it has
// everywhere and its name in a data center, "" where it has none.
func eachProductHost(f func(r role, s Service, nameAt func(DataCenter) string)) {
	r := roleProduct
	for _, s := range services {
		if s.Name == ProfileService { // of its host only one path is served
			continue
		}
		f(r, s, s.HostAt)
		r++
		for _, label := range s.also {
			f(r, s, func(dc DataCenter) string { return label + "." + dc.Suffix })
			r++
		}
	}
}

// indexServices maps the name of a service to it.
func indexServices() map[string]serviceEntry {
	index := make(map[string]serviceEntry, len(services))
	eachProductHost(func(r role, s Service, _ func(DataCenter) string) {
		if _, ok := index[s.Name]; !ok { // its own host comes first
			index[s.Name] = serviceEntry{s, r}
		}
	})
	return index
}

// indexDataCenters maps the code of a data center to all its hosts. Sandboxes and developer
// editions have gateways beside www., as Zoho's own SDK lists them; grants are bound to one.
func indexDataCenters() map[string]*dcHosts {
	index := make(map[string]*dcHosts, len(dataCenters))
	for _, dc := range dataCenters {
		h := &dcHosts{dc: dc, hosts: make([]string, roleProduct)}
		if domain := gatewayDomain(dc); domain != "" {
			h.hosts[roleGateway] = "www." + domain
			h.hosts[roleSandbox] = "sandbox." + domain
			h.hosts[roleDeveloper] = "developer." + domain
		}
		h.hosts[roleAccounts] = strings.TrimPrefix(dc.Accounts, "https://")
		h.hosts[roleContent] = contentHost(dc)
		h.hosts[roleUpload] = "upload." + dc.Suffix
		h.hosts[roleDownload] = downloadLabel(dc) + "." + dc.Suffix
		h.hosts[roleDownloadAccl] = "download-accl." + dc.Suffix
		eachProductHost(func(_ role, _ Service, nameAt func(DataCenter) string) {
			h.hosts = append(h.hosts, nameAt(dc))
		})
		for _, s := range services {
			if s.AbsentAt(dc.Code) {
				h.absent = append(h.absent, s.Name)
			}
		}
		index[dc.Code] = h
	}
	return index
}

// indexHosts maps each host name to what it stands for. The CRM family's hosts for uploads come last:
// where WorkDrive has the same name, their entry remembers its role.
func indexHosts() map[string]hostEntry {
	index := make(map[string]hostEntry)
	for _, h := range hostsByCode {
		add := func(r role, e hostEntry) {
			if host := h.hosts[r]; host != "" {
				e.center, e.role = h, r
				index[host] = e
			}
		}
		eachProductHost(func(r role, s Service, _ func(DataCenter) string) { add(r, hostEntry{service: s.Name}) })
		for r := roleGateway; r < roleProduct; r++ {
			add(r, hostEntry{shared: index[h.hosts[r]].role})
		}
		if domain := gatewayDomain(h.dc); domain != "" {
			index[domain] = index["www."+domain] // several programs leave www out
		}
	}
	return index
}

// indexDialAddresses spares putting an address together for each request.
func indexDialAddresses() map[string]string {
	index := make(map[string]string, len(hostIndex))
	for host := range hostIndex {
		index[host] = host + ":443"
	}
	return index
}

// gatewayDomain is "zohoapis.eu" for eu.
func gatewayDomain(dc DataCenter) string { return strings.TrimPrefix(dc.API, "https://www.") }

// downloadLabel begins the host of WorkDrive's downloads, which is files. in the Emirates and Saudi
// Arabia (rclone).
func downloadLabel(dc DataCenter) string {
	if dc.Code == "ae" || dc.Code == "sa" {
		return "files"
	}
	return "download"
}

// contentHost is where the CRM family takes uploads, from Zoho's own SDK
// (zohocrm-nodejs-sdk, lib/routes/dc); it names none for the other data centers.
func contentHost(dc DataCenter) string {
	switch dc.Code {
	case "us", "eu", "in", "au", "cn", "jp":
		return "content." + gatewayDomain(dc)
	case "ca":
		return "upload." + dc.Suffix
	case "sa":
		return "files." + dc.Suffix
	}
	return ""
}

// speaksByReason reports whether a host says why it refuses in the reason phrase of HTTP/1.1
// ("401 INVALID_OAUTHSCOPE"), and nowhere else: the hosts for files do, rclone depends on it.
func speaksByReason(host string) bool {
	e, ok := lookupHost(host)
	return ok && e.role.isFiles()
}

// lookupHost finds a host in the table: in any letter case, its default port
// left out. A trailing dot, another port or userinfo make it another host.
func lookupHost(host string) (hostEntry, bool) {
	host = trimDefaultPort(host)
	var lower [maxHost]byte
	if len(host) > len(lower) {
		return hostEntry{}, false
	}
	for i := range len(host) {
		lower[i] = lowerASCII(host[i])
	}
	e, ok := hostIndex[string(lower[:len(host)])] // no copy is made for a look-up
	return e, ok
}

// maxHost is more than any host of the table has.
const maxHost = 48

// domainOwner gives the data center under whose domain a host lies that the table
// does not hold, nil if it is not Zoho's. Only well-formed names count: no empty
// label, no xn--, nothing but letters, digits and hyphens.
func domainOwner(host string) *dcHosts {
	host = trimDefaultPort(host)
	for i := range dataCenters {
		dc := &dataCenters[i]
		if !isUnder(host, dc.Suffix) && (dc.API == "" || !isUnder(host, gatewayDomain(*dc))) {
			continue
		}
		for label := range strings.SplitSeq(host, ".") {
			if !plainLabel(label) {
				return nil
			}
		}
		return hostsByCode[dc.Code]
	}
	return nil
}

// isUnder reports whether a host is the domain, or lies under it.
func isUnder(host, domain string) bool {
	n := len(host) - len(domain)
	return n >= 0 && equalFold(host[n:], domain) && (n == 0 || host[n-1] == '.')
}

// plainLabel reports whether a part of a host name is plain ASCII, as all of Zoho's are.
// Punycode (xn--) is refused: it is how a look-alike would be written.
func plainLabel(label string) bool {
	switch {
	case label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-':
		return false
	case len(label) > 4 && equalFold(label[:4], "xn--"):
		return false
	}
	for i := range len(label) {
		if c := lowerASCII(label[i]); c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// trimDefaultPort takes off the port that a host is reached at without one.
func trimDefaultPort(host string) string {
	if name, ok := strings.CutSuffix(host, ":443"); ok {
		return name
	}
	return strings.TrimSuffix(host, ":80")
}

// OwnsAPIDomain reports whether the api_domain of a token reply belongs to this
// data center: its gateway, or the sandbox or developer gateway beside it. With
// a custom data center it is exactly the API URL. Whatever else a reply names
// gets no token.
func (dc DataCenter) OwnsAPIDomain(apiDomain string) bool { return dc.gatewayOf(apiDomain) != "" }

// gatewayOf gives the host of apiDomain if it is one of dc's gateways, "" if not.
// The name returned is the table's, not the one that was passed in.
func (dc DataCenter) gatewayOf(apiDomain string) string {
	apiDomain = strings.TrimSuffix(apiDomain, "/")
	if dc.Custom {
		if apiDomain == dc.API {
			return dc.apiHost()
		}
		return ""
	}
	const scheme = "https://"
	h, ok := hostsByCode[dc.Code]
	if !ok || len(apiDomain) < len(scheme) || !equalFold(apiDomain[:len(scheme)], scheme) {
		return ""
	}
	host := strings.TrimSuffix(apiDomain[len(scheme):], ":443")
	for _, own := range h.hosts[roleGateway : roleDeveloper+1] {
		if own != "" && (equalFold(own, host) || equalFold(strings.TrimPrefix(own, "www."), host)) {
			return own
		}
	}
	return ""
}
