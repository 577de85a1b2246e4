package secret

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReferences, S-17: a placeholder is taken, everything else is refused without being shown.
func TestReferences(t *testing.T) {
	for text, taken := range map[string]bool{
		"{env.A}": true, "{file./x}": true, "{x}": true,
		"": false, "{}": false, "{": false, "}": false, "secret": false, "{env.A": false, "env.A}": false, "{env.A}x": false, "x{env.A}": false, "{env.A}{env.B}": false,
	} {
		ref, err := New(text)
		if (err == nil) != taken || ref.IsSet() != taken {
			t.Errorf("%q: %v, %v", text, ref, err)
		}
		if err != nil && err != ErrLiteral {
			t.Errorf("%q: %v", text, err)
		}
	}
	literal := Literal("hidden")
	if !literal.IsSet() || new(Ref).IsSet() {
		t.Error("what is set and what is not")
	}
	if text := fmt.Sprintf("%s %v %+v %#v", literal, literal, literal, literal); strings.Contains(text, "hidden") || !strings.Contains(text, "REDACTED") {
		t.Errorf("printed as %s", text)
	}
	if got := InFile("/x").String(); got != "{file./x}" {
		t.Errorf("a file is %s", got)
	}
}

// TestJSONOfReferences, S-17: what is read from JSON is written as it was, and an error shows
// nothing of it.
func TestJSONOfReferences(t *testing.T) {
	for text, taken := range map[string]bool{
		`"{env.A}"`: true, `""`: true, `{"insecure_literal":"hidden"}`: true,
		`"hidden"`: false, `{"insecure_literal":""}`: false, `{"insecure_literal":1}`: false, `{"hidden":1}`: false, `{}`: false, `1`: false, `["hidden"]`: false,
	} {
		var ref Ref
		err := json.Unmarshal([]byte(text), &ref)
		if (err == nil) != taken || err != nil && strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v", text, err)
		}
		if again, marshalErr := json.Marshal(ref); taken && (marshalErr != nil || string(again) != text) {
			t.Errorf("%s became %s, %v", text, again, marshalErr)
		}
	}
}

// TestSecretFiles, S-18: what is wrong with a file is told in just these words.
func TestSecretFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) Ref {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return InFile(path)
	}
	for _, test := range []struct {
		name string
		ref  Ref
		want string // the value, or what the error says
		err  bool
	}{
		{"plain", write("plain", "value", 0o600), "value", false},
		{"line end", write("lf", "value\n", 0o600), "value", false},
		{"CRLF and byte order mark", write("bom", "\ufeffvalue\r\n", 0o600), "value", false},
		{"two lines", write("two", "hidden\nother", 0o600), "has blanks", true},
		{"a blank", write("blank", "hidden other", 0o600), "has blanks", true},
		{"DEL", write("del", "hidden\x7fother", 0o600), "control characters", true},
		{"empty", write("empty", "", 0o600), "is empty", true},
		{"blanks", write("blanks", " \n", 0o600), "only blanks", true},
		{"missing", InFile(filepath.Join(dir, "missing")), "is missing", true},
		{"a directory", InFile(dir), "is a directory", true},
		{"an unset variable", Ref{placeholder: "{env.CADDY_ZOHO_NOT_SET}"}, "set the environment variable CADDY_ZOHO_NOT_SET", true},
		{"no known placeholder", Ref{placeholder: "{nobody.knows}"}, "this placeholder does not exist", true},
		{"a literal", Literal("value"), "value", false},
	} {
		value, err := test.ref.Resolve()
		switch {
		case (err != nil) != test.err, err == nil && value != test.want:
			t.Errorf("%s: %q, %v", test.name, value, err)
		case err != nil && (!strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hidden") || value != ""):
			t.Errorf("%s: %q, %v", test.name, value, err)
		}
	}
	if got := ResolveAll([]Ref{InFile(filepath.Join(dir, "missing")), Literal("value")}); len(got) != 1 || string(got[0]) != "value" {
		t.Errorf("%d values", len(got))
	}
}

// TestCredential: quotes and other signs that no server puts into what it gives out are told of, and the value is not
// shown. A key may hold all of that.
func TestCredential(t *testing.T) {
	for value, want := range map[string]string{
		"1000.HIDDEN": "", "hidden'value": "", " \ufeffhidden\n": "",
		`"1000.HIDDEN"`: "quotes", "'hidden'": "quotes", `"hidden`: "quotes", "hidden`": "quotes", `""`: "quotes", "“hidden”": "quotes",
		"hid\u200bden": "not in ASCII", "hidden\u00e9": "not in ASCII", "hidden hidden": "blanks",
	} {
		t.Setenv("CADDY_ZOHO_CREDENTIAL", value)
		ref := Ref{placeholder: "{env.CADDY_ZOHO_CREDENTIAL}"}
		got, err := ref.Credential()
		if want == "" && (err != nil || got == "") {
			t.Errorf("%q: %q, %v", value, got, err)
		}
		if want != "" && (err == nil || got != "" || !strings.Contains(err.Error(), ref.String()+" h") ||
			!strings.Contains(err.Error(), want) || strings.Contains(strings.ToLower(err.Error()), "hidden")) {
			t.Errorf("%q: %q, %v", value, got, err)
		}
		if _, err := ref.Resolve(); err != nil && want != "blanks" {
			t.Errorf("%q as a key: %v", value, err)
		}
	}
}

// TestExposed, S-18: a file that others can read is told of, unless a container's runtime has made it.
func TestExposed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("value"), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, exposed := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o700: false, 0o640: true, 0o604: true, 0o610: true, 0o666: true} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if got, _ := InFile(path).Exposed(); (got != "") != exposed || exposed && !strings.Contains(got, "chmod 600") {
			t.Errorf("%o: %q", mode, got)
		}
	}
	before := mountedSecrets
	mountedSecrets = append(mountedSecrets[:len(mountedSecrets):len(mountedSecrets)], filepath.Dir(path)+"/")
	if got, _ := InFile(path).Exposed(); got != "" {
		t.Errorf("a mounted secret: %q", got)
	}
	mountedSecrets = before
	for _, ref := range []Ref{Literal("value"), {placeholder: "{env.A}"}, InFile("/run/secrets/x"), InFile(filepath.Dir(path)), InFile(path + "x")} {
		if got, _ := ref.Exposed(); got != "" {
			t.Errorf("%s: %q", ref, got)
		}
	}
}

// TestGuessable: sixteen bytes are not found by trying.
func TestGuessable(t *testing.T) {
	if !Guessable(strings.Repeat("x", 15)) || Guessable(strings.Repeat("x", 16)) {
		t.Error("the bound is not at sixteen")
	}
}
