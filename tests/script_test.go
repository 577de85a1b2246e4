package tests

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

// TestScripts, S-19, plays tests/script/*.txtar: what an operator types, and what comes of it.
// In each a Caddy with the archive's Caddyfile (or that of onboarding) runs in front of a
// simulator. Beside testscript's own commands there are:
//
//	zoho [EXIT] ARG… [<FILE]       caddy zoho ARG…, which must exit with EXIT (0)
//	consent [EXIT] FORM ARG…       caddy zoho connect ARG…, with consent given, and what the
//	                               browser ended at pasted in one of the pasteForms
//	call STATUS PATH [ACCOUNT]     a call of an app's
//	grant NAME USER [SCOPE…]       has $NAME be a refresh token
//	code NAME [SCOPE…]             has $NAME be a self client's code
//	sim WHAT [JSON]                the simulator's control endpoint
//	write FILE TEXT…               a file with a line for each TEXT
//	caddy start|stop|reload        the Caddy in front
//	caddy second                   another one with the same store, which must not start
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("script/*.txtar")
	if err != nil || len(files) < 10 {
		t.Fatal("where are the scripts?", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			testscript.Run(t, testscript.Params{Files: []string{file}, Setup: s.setup, Cmds: map[string]func(*testscript.TestScript, bool, []string){
				"zoho": s.zoho, "consent": s.consent, "call": s.call, "grant": s.grant, "code": s.code, "sim": s.sim, "write": write, "caddy": s.caddy,
			}})
		})
	}
}

// stage is a Caddy in front of a simulator, for one script.
type stage struct {
	*proxy
	server  *zohosim.Server
	zohoURL string
}

func newStage(t *testing.T) *stage {
	server := zohosim.New(zohosim.Options{Consent: zohosim.ConsentAuto})
	server.AddClient(zohosim.Client{ID: clientID, Secret: clientSecret, SelfClient: true})
	baseURL, stop := server.StartHTTP()
	t.Cleanup(stop)
	c := newCaddy(t, onboarding, "ZOHO_DATA_CENTER="+baseURL+" "+baseURL, "ZOHO_CONNECT_OPTIONS=")
	return &stage{proxy: c, server: server, zohoURL: baseURL}
}

func (s *stage) setup(env *testscript.Env) error {
	if config, err := os.ReadFile(filepath.Join(env.WorkDir, "Caddyfile")); err == nil {
		s.writeConfig(string(config))
	}
	s.start()
	env.Setenv("ADMIN", s.admin)
	env.Setenv("PAGES", s.pages())
	env.Setenv("PROXY", strings.TrimPrefix(s.url, "http://"))
	env.Setenv("SIMULATOR", strings.TrimPrefix(s.zohoURL, "http://"))
	env.Setenv("CONFIG", s.config)
	env.Setenv("STORE", s.storeDir())
	env.Setenv("PID", strconv.Itoa(s.cmd.Process.Pid))
	return nil
}

// exitCode takes the exit code that is expected off the front of a command's arguments.
func exitCode(args []string) (code int, rest []string) {
	if len(args) > 0 {
		if n, err := strconv.Atoi(args[0]); err == nil {
			return n, args[1:]
		}
	}
	return 0, args
}

func (s *stage) zoho(ts *testscript.TestScript, neg bool, args []string) {
	want, args := exitCode(args)
	var input io.Reader
	if n := len(args) - 1; n >= 0 && strings.HasPrefix(args[n], "<") {
		input, args = strings.NewReader(ts.ReadFile(args[n][1:])), args[:n]
	}
	stdout, stderr, code := s.runWith(input, append([]string{"zoho"}, args...)...)
	s.said(ts, stdout, stderr, code, want)
}

func (s *stage) said(ts *testscript.TestScript, stdout, stderr string, code, want int) {
	fmt.Fprint(ts.Stdout(), stdout)
	fmt.Fprint(ts.Stderr(), stderr)
	if code != want {
		ts.Fatalf("exit code %d, want %d\n%s%s", code, want, stdout, stderr)
	}
}

func (s *stage) consent(ts *testscript.TestScript, neg bool, args []string) {
	want, args := exitCode(args)
	form := pasteForms[args[0]]
	if form == nil {
		ts.Fatalf("there is no form %s", args[0])
	}
	cmd := exec.Command(binary, append([]string{"zoho", "connect"}, args[1:]...)...)
	var out, said output
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = s.env, s.dir, &out, &said
	stdin, err := cmd.StdinPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	address := regexp.MustCompile(`http\S+/oauth/v2/auth\?\S+`)
	s.waitFor("the address", func() bool { return address.MatchString(out.String() + said.String()) })
	b := newBrowser(s.t)
	callback := b.stopAt("/callback", func() answer { return b.get(address.FindString(out.String() + said.String())) })
	_, _ = io.WriteString(stdin, form(callback))
	_ = stdin.Close()
	_ = cmd.Wait()
	s.checkSecrets("caddy zoho connect", []byte(out.String()+said.String()))
	s.said(ts, out.String(), said.String(), cmd.ProcessState.ExitCode(), want)
}

func (s *stage) call(ts *testscript.TestScript, neg bool, args []string) {
	var header []string
	if len(args) > 2 {
		header = []string{"Zoho-Proxy-Account", args[2]}
	}
	a := s.get(args[1], header...)
	fmt.Fprintf(ts.Stdout(), "%s %s\n%s\n", a.Status, a.problem(), a.body)
	if strconv.Itoa(a.StatusCode) != args[0] {
		ts.Fatalf("%s %s, want %s", a.Status, a.body, args[0])
	}
}

func (s *stage) grant(ts *testscript.TestScript, neg bool, args []string) {
	scopes := args[2:]
	if len(scopes) == 0 {
		scopes = []string{"ZohoCRM.modules.ALL", "ZohoCRM.org.READ", "AaaServer.profile.READ", "Desk.tickets.ALL"}
	}
	token := s.server.Grant(clientID, args[1], "us", scopes...)
	s.secrets = append(s.secrets, token)
	ts.Setenv(args[0], token)
}

func (s *stage) code(ts *testscript.TestScript, neg bool, args []string) {
	code := s.server.SelfClientCode(clientID, append(args[1:], "ZohoCRM.modules.ALL")...)
	s.secrets = append(s.secrets, code)
	ts.Setenv(args[0], code)
}

func (s *stage) sim(ts *testscript.TestScript, neg bool, args []string) {
	body := "{}"
	if len(args) > 1 {
		body = args[1]
	}
	res, err := http.Post(s.zohoURL+"/_sim/"+args[0], "application/json", strings.NewReader(body))
	ts.Check(err)
	defer res.Body.Close()
	var said bytes.Buffer
	_, _ = io.Copy(&said, res.Body)
	if res.StatusCode != http.StatusOK {
		ts.Fatalf("%s: %s %s", args[0], res.Status, said.String())
	}
}

func write(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join(args[1:], "\n")+"\n"), 0o600))
}

func (s *stage) caddy(ts *testscript.TestScript, neg bool, args []string) {
	switch args[0] {
	case "start":
		s.start()
	case "stop":
		s.stop()
	case "reload":
		ts.Check(s.reload())
	case "second":
		s.second(ts)
	default:
		ts.Fatalf("caddy %s", args[0])
	}
}

// second runs another Caddy with the same store, at addresses of its own.
func (s *stage) second(ts *testscript.TestScript) {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "run", "--config", s.config, "--adapter", "caddyfile")
	cmd.Dir, cmd.Env = s.dir, append(slices.Clone(s.env), "CADDY_ADMIN=127.0.0.1:"+freePort(s.t), "ZOHO_PORT="+freePort(s.t))
	said, _ := cmd.CombinedOutput() // the exit code tells
	s.checkSecrets("a second Caddy", said)
	s.said(ts, "", string(said), cmd.ProcessState.ExitCode(), 1)
}
