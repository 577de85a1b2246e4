// What deploy/ and the Dockerfile hand out is run as they say: with that user, those rights and that environment.

package tests

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// composed is what a compose file says of a service.
type composed struct {
	Image       string
	User        string
	Environment []string
	Secrets     []string
	Volumes     []string
	Tmpfs       []string
	Ports       []string
	Sysctls     map[string]int
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	CapAdd      []string `yaml:"cap_add"`
	SecurityOpt []string `yaml:"security_opt"`
}

func compose(t *testing.T, name string) map[string]composed {
	t.Helper()
	var file struct{ Services map[string]composed }
	if err := yaml.Unmarshal([]byte(readDoc(t, name)), &file); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return file.Services
}

// environment is what compose passes on, of these variables.
func (s composed) environment(t *testing.T, set map[string]string) (env []string) {
	t.Helper()
	for _, entry := range s.Environment {
		name, value, given := strings.Cut(entry, "=")
		if from, ok := set[name]; ok && (!given || strings.HasPrefix(value, "${"+name+":?")) {
			env = append(env, name+"="+from)
		} else if given && !strings.HasPrefix(value, "$") {
			env = append(env, entry)
		} else if given {
			t.Errorf("%s is not set", entry)
		}
	}
	return env
}

// imageEnvironment is set by Caddy's own image.
var imageEnvironment = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "XDG_CONFIG_HOME=/config", "XDG_DATA_HOME=/data"}

// container is a root file system that a service sees, and what of it is writable.
type container struct {
	dir      string // of all of it
	root     string
	writable []string
}

// at is where a path of the container is.
func (k *container) at(path string) string {
	for _, folder := range k.writable {
		if rest, ok := strings.CutPrefix(path, folder+"/"); ok {
			return filepath.Join(k.dir, "volumes", folder, rest)
		}
	}
	return filepath.Join(k.root, path)
}

// mounts has the root become read-only but for what is mounted, and what the host's binary is linked with be there.
const mounts = `set -e
cd "$1"; shift
mount --make-rprivate /
mount --bind root root
mount -o remount,bind,ro root
for folder in dev lib lib64 proc usr/lib; do
	[ ! -d "/$folder" ] || mount --rbind "/$folder" "root/$folder"
done
for folder in $WRITABLE; do
	mount --bind "volumes/$folder" "root/$folder"
done
! touch root/etc/written 2>/dev/null
exec "$@"`

// newContainer lays out what Caddy's image has, with the binary under test and the configuration.
func newContainer(t *testing.T, c *proxy, s composed, caddyfile string) *container {
	t.Helper()
	k := &container{dir: c.dir, root: filepath.Join(c.dir, "root")}
	mkdir := func(path string, mode os.FileMode) {
		if err := errors.Join(os.MkdirAll(path, 0o755), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{"config", "data", "dev", "etc/caddy", "lib", "lib64", "proc", "run/caddy", "run/secrets", "tmp", "usr/bin", "usr/lib"} {
		mkdir(filepath.Join(k.root, folder), 0o755)
	}
	for _, volume := range s.Volumes {
		if parts := strings.Split(volume, ":"); len(parts) == 2 {
			k.writable = append(k.writable, parts[1])
			mkdir(filepath.Join(c.dir, "volumes", parts[1]), 0o755)
		}
	}
	for path, mode := range map[string]os.FileMode{"/config/caddy": 0o777, "/data/caddy": 0o777, "/tmp/": 0o777} {
		mkdir(k.at(path), mode|os.ModeSticky)
	}
	for _, mounted := range s.Tmpfs {
		folder, options, _ := strings.Cut(mounted, ":")
		k.writable = append(k.writable, folder)
		mkdir(filepath.Join(c.dir, "volumes", folder), 0o700)
		if id := regexp.MustCompile(`uid=(\d+)`).FindStringSubmatch(options); id != nil {
			operator(t, "chown", id[1], filepath.Join(c.dir, "volumes", folder))
		}
	}
	operator(t, "cp", binary, k.at("/usr/bin/caddy"))
	if err := os.WriteFile(k.at("/etc/caddy/Caddyfile"), []byte(caddyfile), 0o644); err != nil {
		t.Fatal(err)
	}
	return k
}

// enter has Caddy run in there: as the image's command, by its user, without a capability.
func (k *container) enter(c *proxy, user string) {
	c.t.Helper()
	rights := []string{"setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all,+sys_chroot,+setuid,+setgid",
		"chroot", "--userspec=" + user, "--groups=", "root"}
	c.wrap = append([]string{"unshare", "--mount", "sh", "-c", mounts, "sh", c.dir}, rights...)
	c.env = append(c.env, "WRITABLE="+strings.Join(k.writable, " "))
	c.binary, c.config = "/usr/bin/caddy", "/etc/caddy/Caddyfile"
}

// speakTo has the admin endpoint be a socket.
func (c *proxy) speakTo(socket string) {
	c.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr == c.admin {
			network, addr = "unix", socket
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
}

func needsNamespaces(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 || exec.Command("unshare", "--mount", "true").Run() != nil {
		t.Skip("only root may make a root file system, where namespaces are allowed")
	}
}

const deployedKey = "9Xq2mB7dK4vR8sT1wY6zA3cF5hJ0nL2pQ9uE4gI7oM8=\n"

// TestComposeRuns: the proxy of the compose file serves with the rights that it has there, and keeps its store in the volume.
func TestComposeRuns(t *testing.T) {
	t.Parallel()
	needsNamespaces(t)
	service := compose(t, "deploy/compose.yaml")["caddy-zoho"]
	if !service.ReadOnly || !slices.Equal(service.CapDrop, []string{"ALL"}) || service.CapAdd != nil || !slices.Contains(service.SecurityOpt, "no-new-privileges:true") {
		t.Errorf("it has more rights than it needs: %+v", service)
	}
	user, _, _ := strings.Cut(service.User, ":")
	if !strings.Contains(readDoc(t, "deploy/compose.yaml"), "chown "+user+" deploy/secrets/encryption_key") {
		t.Errorf("nobody gives the key to user %s", user)
	}
	_, baseURL, grant := sim(t, zohosim.Options{})
	c := newCaddy(t, "")
	k := newContainer(t, c, service, readDoc(t, "deploy/Caddyfile"))
	c.env = append(slices.Clone(imageEnvironment), service.environment(t, map[string]string{
		"ZOHO_CLIENT_ID": clientID, "ZOHO_CLIENT_SECRET": clientSecret, "ZOHO_REFRESH_TOKEN": grant,
		"ZOHO_DATA_CENTER": baseURL + " " + baseURL, "ZOHO_PORT": strings.TrimPrefix(c.url, "http://127.0.0.1:"),
	})...)
	c.secrets = append(c.secrets, grant, strings.TrimSpace(deployedKey))
	key := k.at("/run/secrets/encryption_key")
	if err := errors.Join(os.WriteFile(key, []byte(deployedKey), 0o400), os.Symlink(k.at("/data/caddy/zoho"), c.storeDir())); err != nil {
		t.Fatal(err)
	}
	operator(t, "chown", user, key)
	k.enter(c, service.User)
	c.speakTo(k.at("/run/caddy/admin.sock"))
	c.start()
	c.succeed(http.MethodGet, threeServices[0], "")
	c.wantNoWarning()

	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nUid:\t" + user + "\t", "\nCapEff:\t0000000000000000\n", "\nCapPrm:\t0000000000000000\n", "\nNoNewPrivs:\t1\n"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("the process has not %q", strings.TrimSpace(want))
		}
	}
	if a := c.get(healthPath(t)); a.StatusCode != http.StatusOK {
		t.Errorf("the image's HEALTHCHECK gets %s", a.Status)
	}
	if _, err := os.Stat(filepath.Join(c.storeDir(), "tokens.db")); err != nil {
		t.Errorf("the store is not in the volume: %v", err)
	}
}

// healthPath is what HEALTHCHECK calls.
func healthPath(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile(`\nHEALTHCHECK .*"http://127\.0\.0\.1:\$\{ZOHO_PORT:-8080\}(/\S+)"\n`).FindStringSubmatch(readDoc(t, "xcaddy.Dockerfile"))
	if m == nil {
		t.Fatal("xcaddy.Dockerfile has no HEALTHCHECK at ZOHO_PORT")
	}
	return m[1]
}

func (c *proxy) wantNoWarning() {
	c.t.Helper()
	for line := range strings.Lines(c.output.String()) {
		if strings.Contains(line, `"level":"warn"`) && strings.Contains(line, `"logger":"zoho`) {
			c.t.Errorf("it is warned about: %s", line)
		}
	}
}

// TestComposeOfPages: the second file gives the ports that Caddyfile.pages listens on to the service whose network it is,
// and lets a user without capabilities listen there.
func TestComposeOfPages(t *testing.T) {
	first, second := compose(t, "deploy/compose.yaml"), compose(t, "deploy/compose.pages.yaml")
	for name := range second {
		if _, there := first[name]; !there {
			t.Errorf("deploy/compose.yaml has no service %s", name)
		}
	}
	app, proxy := second["app"], second["caddy-zoho"]
	if !slices.Equal(app.Ports, []string{"80:80", "443:443", "443:443/udp"}) || app.Sysctls["net.ipv4.ip_unprivileged_port_start"] != 80 {
		t.Errorf("the app's network is %+v", app)
	}
	if !slices.Equal(proxy.Volumes, []string{"./Caddyfile.pages:/etc/caddy/Caddyfile:ro"}) || !slices.Contains(first["caddy-zoho"].Volumes, "./Caddyfile:/etc/caddy/Caddyfile:ro") {
		t.Errorf("the Caddyfile of the pages does not take the place of the other: %v", proxy.Volumes)
	}
	given := strings.Join(append(first["caddy-zoho"].Environment, proxy.Environment...), "\n") + "\n"
	for _, m := range regexp.MustCompile(`\{(?:env\.|\$)(ZOHO_[A-Z_]+)\}`).FindAllStringSubmatch(readDoc(t, "deploy/Caddyfile.pages"), -1) {
		if m[1] != "ZOHO_STORE" && !regexp.MustCompile(`(?m)^`+m[1]+`(=|$)`).MatchString(given) {
			t.Errorf("%s is not passed on", m[1])
		}
	}
}

// TestPagesAreTheDeployedCaddyfile: but for the pages and what consents need, deploy/Caddyfile.pages is deploy/Caddyfile.
func TestPagesAreTheDeployedCaddyfile(t *testing.T) {
	body := func(text string) string { return text[strings.Index(text, "\n{\n"):] }
	pages := regexp.MustCompile(`(?s)\n\n\t\t\t# What the app's APIs need\..*?/callback\n`).ReplaceAllString(body(readDoc(t, "deploy/Caddyfile.pages")), "\n\t\t\trefresh_token {env.ZOHO_REFRESH_TOKEN}\n")
	pages = regexp.MustCompile(`(?s)\n# The pages\..*?\n}\n`).ReplaceAllString(pages, "")
	if pages != body(readDoc(t, "deploy/Caddyfile")) {
		t.Error("deploy/Caddyfile.pages is another than deploy/Caddyfile with pages")
	}
}

// unitSays are the values of a setting in the unit, and in a drop-in if there is one; an empty one takes back those before.
func unitSays(t *testing.T, setting string, files ...string) (values []string) {
	t.Helper()
	for _, file := range files {
		for _, m := range regexp.MustCompile(`(?m)^`+setting+`=(.*)$`).FindAllStringSubmatch(readDoc(t, file), -1) {
			if m[1] == "" {
				values = nil
			} else {
				values = append(values, strings.Fields(m[1])...)
			}
		}
	}
	return values
}

// asUnit has Caddy run with the environment and the rights that the unit gives, its folders being in c.dir.
func (c *proxy) asUnit(t *testing.T, files ...string) {
	t.Helper()
	if exec := strings.Join(unitSays(t, "ExecStart", files...), " "); exec != "/usr/local/bin/caddy-zoho run --config /etc/caddy-zoho/Caddyfile --adapter caddyfile" {
		t.Errorf("the unit runs %s", exec)
	}
	folders := map[string]string{"/var/lib/caddy-zoho": "state", "/run/caddy-zoho": "run", "/run/credentials/caddy-zoho.service": "credentials", "/var/tmp": "tmp"}
	for there, here := range folders {
		folders[there] = filepath.Join(c.dir, here)
		if err := os.MkdirAll(folders[there], 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, variable := range unitSays(t, "Environment", files...) {
		for there, here := range folders {
			variable = strings.Replace(variable, there, here, 1)
		}
		c.env = append(c.env, variable)
	}
	if err := os.WriteFile(filepath.Join(folders["/run/credentials/caddy-zoho.service"], "encryption_key"), []byte(deployedKey), 0o400); err != nil {
		t.Fatal(err)
	}
	c.secrets = append(c.secrets, strings.TrimSpace(deployedKey))
	sets := func(setting string) string {
		all := "-all"
		for _, capability := range unitSays(t, setting, files...) {
			all += ",+" + strings.ToLower(strings.TrimPrefix(capability, "CAP_"))
		}
		return all
	}
	ambient := sets("AmbientCapabilities")
	c.asNobody("--no-new-privs", "--inh-caps="+ambient, "--ambient-caps="+ambient, "--bounding-set="+sets("CapabilityBoundingSet"))
	operator(t, "chown", "-R", strconv.Itoa(nobody), c.dir)
	c.speakTo(filepath.Join(folders["/run/caddy-zoho"], "admin.sock"))
}

const (
	unit        = "deploy/caddy-zoho.service"
	unitOfPages = "deploy/caddy-zoho-pages.conf"
)

// TestUnitIsValid, to systemd: where it is there, it knows each setting, alone and with the drop-in.
func TestUnitIsValid(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	dir := t.TempDir()
	dropIn := filepath.Join(dir, "caddy-zoho.service.d")
	for _, err := range []error{
		os.WriteFile(filepath.Join(dir, "caddy-zoho.service"), []byte(strings.ReplaceAll(readDoc(t, unit), "/usr/local/bin/caddy-zoho", binary)), 0o644),
		os.Mkdir(dropIn, 0o755),
		os.WriteFile(filepath.Join(dropIn, "pages.conf"), []byte(readDoc(t, unitOfPages)), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	verify := exec.Command(analyze, "verify", "--man=no", filepath.Join(dir, "caddy-zoho.service"))
	verify.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":")
	if out, err := verify.CombinedOutput(); err != nil || bytes.Contains(out, []byte("caddy-zoho")) {
		t.Errorf("%v: %s", err, out)
	}
}

// TestUnitRuns: the unit serves with the rights that it gives, without a warning.
func TestUnitRuns(t *testing.T) {
	t.Parallel()
	_, baseURL, grant := sim(t, zohosim.Options{})
	c := newCaddy(t, readDoc(t, "deploy/Caddyfile"), "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_REFRESH_TOKEN="+grant)
	c.asUnit(t, unit)
	c.start()
	c.succeed(http.MethodGet, threeServices[0], "")
	c.wantNoWarning()
}

// TestUnitOfPages: with the drop-in the unit listens on a port below 1024 and shows the pages, to whom has the password.
// Without it, it may not.
func TestUnitOfPages(t *testing.T) {
	t.Parallel()
	site, redirects := lowPort(t), lowPort(t)
	host := "localhost:" + site
	server := zohosim.New(zohosim.Options{})
	server.AddClient(usualClient)
	baseURL, stop := server.StartHTTP()
	t.Cleanup(stop)
	prepare := func(files ...string) *proxy {
		// A name of this machine's gets a certificate of Caddy's own authority.
		config := strings.Replace(readDoc(t, "deploy/Caddyfile.pages"), "\n{\n", "\n{\n\tskip_install_trust\n\thttp_port "+redirects+"\n", 1)
		c := newCaddy(t, config, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_PAGES="+host, "ZOHO_PAGES_HASH="+hashOfHiccup)
		c.asUnit(t, files...)
		return c
	}

	c := prepare(unit, unitOfPages)
	c.start()
	c.logs("certificate obtained successfully")
	c.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	for path, asked := range map[string]bool{"": true, "start": true, "callback": false, "invite": false, "style.css": false} {
		res, err := c.client.Get("https://" + host + "/zoho-connect/" + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if (res.StatusCode == http.StatusUnauthorized) != asked {
			t.Errorf("%q without the password: %s", path, res.Status)
		}
	}
	req, _ := http.NewRequest(http.MethodGet, "https://"+host+"/zoho-connect/", nil)
	req.SetBasicAuth("admin", "hiccup")
	res, err := c.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK || !bytes.Contains(body, []byte("main")) {
		t.Errorf("with the password: %s %v", res.Status, err)
	}
	c.stop()

	c = prepare(unit)
	c.spawn()
	<-c.cmd.Exited
	if !strings.Contains(c.output.String(), "permission denied") {
		t.Errorf("without the drop-in it may listen on port %s: %s", site, c.output)
	}
	c.cmd = nil
}

var lowPorts atomic.Int64 // that were handed out

// lowPort is a free port that not everybody may listen on.
func lowPort(t *testing.T) string {
	t.Helper()
	first, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if err != nil || strings.TrimSpace(string(first)) != "1024" || os.Geteuid() != 0 {
		t.Skip("only root may try this, where ports below 1024 are guarded")
	}
	for range 100 {
		port := strconv.Itoa(600 + (os.Getpid()+int(lowPorts.Add(1)))%400)
		if l, err := net.Listen("tcp", ":"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port below 1024 is free")
	return ""
}
