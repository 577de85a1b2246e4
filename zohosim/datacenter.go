package zohosim

import (
	"cmp"
	"net"
	"regexp"
	"strings"
)

// dataCenter is one of Zoho's regions, by host names.
type dataCenter struct {
	code string
	// accounts is the host of the authorization server.
	accounts string
	// gateway is what follows "www." in the shared API gateway's name; "" where there is none.
	gateway string
	// suffix is what follows the product's label in the name of its own host.
	suffix string
	// uploads are the hosts where CRM takes files, from Zoho's own SDK (zohocrm-nodejs-sdk-8.0,
	// lib/routes/dc); it names none for the other data centers.
	uploads []string
	// listed is whether serverinfo names it.
	listed bool
}

// dataCenters are from the accounts page's multi-DC list, WorkDrive's (ae) and serverinfo (sg, inec).
// Canada is irregular: its accounts server and products live under zohocloud.ca, its gateway under
// zohoapis.ca. China stands apart and serverinfo does not name it. No gateway is known for inec.
var dataCenters = []dataCenter{
	{"us", "accounts.zoho.com", "zohoapis.com", "zoho.com", []string{"content.zohoapis.com"}, true},
	{"eu", "accounts.zoho.eu", "zohoapis.eu", "zoho.eu", []string{"content.zohoapis.eu"}, true},
	{"in", "accounts.zoho.in", "zohoapis.in", "zoho.in", []string{"content.zohoapis.in"}, true},
	{"au", "accounts.zoho.com.au", "zohoapis.com.au", "zoho.com.au", []string{"content.zohoapis.com.au"}, true},
	{"jp", "accounts.zoho.jp", "zohoapis.jp", "zoho.jp", []string{"content.zohoapis.jp"}, true},
	{"ca", "accounts.zohocloud.ca", "zohoapis.ca", "zohocloud.ca", []string{"upload.zohocloud.ca"}, true},
	{"sa", "accounts.zoho.sa", "zohoapis.sa", "zoho.sa", []string{"files.zoho.sa"}, true},
	{"uk", "accounts.zoho.uk", "zohoapis.uk", "zoho.uk", nil, true},
	{"ae", "accounts.zoho.ae", "zohoapis.ae", "zoho.ae", nil, true},
	{"sg", "accounts.zoho.sg", "zohoapis.sg", "zoho.sg", nil, true},
	{"inec", "accounts.zohohq.in", "", "zohohq.in", nil, true},
	{"cn", "accounts.zoho.com.cn", "zohoapis.com.cn", "zoho.com.cn", []string{"content.zohoapis.com.cn"}, false},
}

// lookupDataCenter finds a data center by its code.
func lookupDataCenter(code string) (dataCenter, bool) {
	for _, dc := range dataCenters {
		if dc.code == code {
			return dc, true
		}
	}
	return dataCenter{}, false
}

// environments by the first label of their gateway: a CRM grant is bound to one of them.
var environments = map[string]string{"www": "", "sandbox": "sandbox", "developer": "developer"}

// apiDomain is what a token reply names: the gateway of the grant's environment.
func (dc dataCenter) apiDomain(environment string) string {
	if dc.gateway == "" {
		return ""
	}
	return "https://" + cmp.Or(environment, "www") + "." + dc.gateway
}

// A host is what a host name of Zoho's stands for.
type host struct {
	dc       string // code of the data center
	accounts bool   // an authorization server
	// gateway is the shared gateway, or a host for uploads: the first segment of the path names
	// the service.
	gateway bool
	// environment of a gateway: "", "sandbox", "developer".
	environment string
	// files is a host for files alone; its paths name the service in their second segment, or are
	// WorkDrive's.
	files bool
	// product is whose own host it is.
	product *product
}

// hosts are all host names there are.
var hosts = allHosts()

// allHosts puts the names together. Hosts for uploads come last: files.zoho.sa and
// upload.zohocloud.ca are WorkDrive's as well, and only the path tells.
func allHosts() map[string]host {
	all := map[string]host{}
	for _, dc := range dataCenters {
		for _, p := range products {
			for _, name := range p.hostsIn(dc) {
				all[name] = host{dc: dc.code, product: p}
			}
		}
		for _, label := range dc.fileLabels() {
			all[label+"."+dc.suffix] = host{dc: dc.code, files: true}
		}
		all[dc.accounts] = host{dc: dc.code, accounts: true}
		for _, upload := range dc.uploads {
			all[upload] = host{dc: dc.code, gateway: true, files: all[upload].files}
		}
		if dc.gateway == "" {
			continue
		}
		for label, environment := range environments {
			all[label+"."+dc.gateway] = host{dc: dc.code, gateway: true, environment: environment}
		}
		all[dc.gateway] = all["www."+dc.gateway] // programs that leave www out are served alike
	}
	return all
}

// hostsIn are a product's own hosts in a data center.
func (p *product) hostsIn(dc dataCenter) []string {
	if !p.isIn(dc.code) {
		return nil
	}
	var names []string
	for _, label := range p.labels {
		names = append(names, label+"."+dc.suffix)
	}
	if name := p.hosts[dc.code]; name != "" {
		names = append(names, name)
	}
	return names
}

// fileLabels begin the hosts for files. The answers of CRM and others point at download-accl; rclone
// knows the others, and files in the Emirates and Saudi Arabia.
func (dc dataCenter) fileLabels() []string {
	labels := []string{"upload", "download", "download-accl"}
	if dc.code == "ae" || dc.code == "sa" {
		labels = append(labels, "files")
	}
	return labels
}

// zohoLabel finds a label that begins a domain of Zoho's.
var zohoLabel = regexp.MustCompile(`(^|\.)zoho(apis|cloud|hq)?\.`)

// lookupHost finds a host name, given without port. zoho reports whether the name looks like
// Zoho's, known or not: accounts.zoho.ca does not exist, accounts.zoho.com.evil.example is a trap.
func lookupHost(name string) (h host, known, zoho bool) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	h, known = hosts[name]
	return h, known, known || zohoLabel.MatchString(name)
}

// hostOnly cuts the port off the value of a Host header.
func hostOnly(hostport string) string {
	if name, _, err := net.SplitHostPort(hostport); err == nil {
		return name
	}
	return strings.Trim(hostport, "[]")
}
