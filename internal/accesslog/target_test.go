package accesslog

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"
)

// TestRedact: secrets go, wherever a server may find them, and all else stays as it was.
func TestRedact(t *testing.T) {
	for target, want := range map[string]string{
		"/crm/v8/Leads?authtoken=EVIL":                     "/crm/v8/Leads?authtoken=REDACTED",
		"/crm/v8/Leads?AuthToken=EVIL&a=b":                 "/crm/v8/Leads?AuthToken=REDACTED&a=b",
		"/x?a=b&AUTHTOKEN=EVIL;c=d":                        "/x?a=b&AUTHTOKEN=REDACTED",
		"/x?%61uthtoken=EVIL":                              "/x?%61uthtoken=REDACTED",
		"/x?%2561uth%54oken=EVIL&&":                        "/x?%2561uth%54oken=REDACTED&&",
		"/x?access_token=EVIL":                             "/x?access_token=REDACTED",
		"/x?accessToken=EVIL":                              "/x?accessToken=REDACTED",
		"/x?refresh-token=EVIL/EVIL?EVIL=":                 "/x?refresh-token=REDACTED",
		"/x?zapikey=EVIL&auth_type=apikey":                 "/x?zapikey=REDACTED&auth_type=apikey",
		"/x?data[client_secret]=EVIL":                      "/x?data[client_secret]=REDACTED",
		"/x?token[]=EVIL&token[0]=EVIL":                    "/x?token[]=REDACTED&token[0]=REDACTED",
		"/x?code=EVIL&state=EVIL&location=eu":              "/x?code=REDACTED&state=REDACTED&location=eu",
		"/x?code_verifier=EVIL":                            "/x?code_verifier=REDACTED",
		"/x?client_assertion=EVIL":                         "/x?client_assertion=REDACTED",
		"/x?a=b;authtoken=EVIL;EVIL&c=d":                   "/x?a=b;authtoken=REDACTED&c=d",
		"/x?a=b?token=EVIL#EVIL":                           "/x?a=b?token=REDACTED",
		"/x;authtoken=EVIL/y":                              "/x;authtoken=REDACTED/y",
		"/authtoken=EVIL/y":                                "/authtoken=REDACTED/y",
		"/x#access_token=EVIL&a=b":                         "/x#access_token=REDACTED&a=b",
		"/oauth/v2/token?grant_type=x&anything=EVIL":       "/oauth/v2/token?grant_type=REDACTED&anything=REDACTED",
		"/accounts/OAuth/v3/x?y=EVIL":                      "/accounts/OAuth/v3/x?y=REDACTED",
		"http://user:EVIL@www.zohoapis.com/crm":            "http://REDACTED@www.zohoapis.com/crm",
		"http://user:EVIL@www.zohoapis.com?token=EVIL&a=b": "http://REDACTED@www.zohoapis.com?token=REDACTED&a=b",
		"user:EVIL@www.zohoapis.com:443":                   "REDACTED@www.zohoapis.com:443",
		"/x?p" + strings.Repeat("x", 300) + "token=EVIL":   "/x?p" + strings.Repeat("x", 300) + "token=REDACTED",
	} {
		got, secret := Redact(target)
		if !secret || got != want {
			t.Errorf("%s: %s %v, want %s", target, got, secret, want)
		}
	}
	for _, target := range []string{
		"", "*", "/", "/crm/v8/Leads", "/crm/v8/Leads?page=1&per_page=200&fields=a,b", "/x?authtoken", "/x?authtoken=", "/x?a=authtoken",
		"/crm/v8/Leads?page_token=abc&nextPageToken=abc", "/x?zipcode=1&statecode=2&codes=3&token_type=4&secretary=5", "/x?", "/x?=", "/?&&=&",
		"http://www.zohoapis.com/crm?x=a@b", "www.zohoapis.com:443", "/oauth/v2/token", "/oauth/v2/token?", "/a@b=c", "/%zz?%zz=1",
	} {
		if got, secret := Redact(target); secret || got != target {
			t.Errorf("%s: %s %v", target, got, secret)
		}
	}
}

// TestOrdinaryTargetsCostNothing: a look at a target allocates nothing.
func TestOrdinaryTargetsCostNothing(t *testing.T) {
	for _, target := range []string{"/crm/v8/Leads", "/crm/v8/Leads?page=1&per_page=200&fields=Last_Name,Email", "http://www.zohoapis.com/crm?a=b", "/x?code=", "/crm?first=1;second=2"} {
		if n := testing.AllocsPerRun(100, func() { Redact(target) }); n != 0 {
			t.Errorf("%s: %v allocations", target, n)
		}
	}
}

// TestLastLetters: what rules most names out lets all through that may be secrets.
func TestLastLetters(t *testing.T) {
	for _, name := range append(slices.Clone(secretNames), secretEndings...) {
		for _, spelled := range []string{name, strings.ToUpper(name) + "_0[]", "my-" + name[:len(name)-1] + "%" + hex.EncodeToString([]byte(name[len(name)-1:]))} {
			if !mayBeSecret(spelled) {
				t.Errorf("%s is ruled out", spelled)
			}
		}
	}
}

func BenchmarkRedact(b *testing.B) {
	for b.Loop() {
		Redact("/crm/v8/Leads?page=1&per_page=200&fields=Last_Name,Email")
	}
}

// FuzzRedact: whatever stands around a secret, it is not shown, and what is shown is shown again.
func FuzzRedact(f *testing.F) {
	const marker = "5ecretMarker"
	f.Add("/x", "b=1")
	f.Add("http://u@h/oauth/", "c=d#e")
	f.Add("/a;b=c", "%26=&")
	f.Fuzz(func(t *testing.T, path, after string) {
		if !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "http://") || strings.ContainsAny(path, "?#=") ||
			strings.Contains(path+after, marker) {
			return
		}
		for _, name := range []string{"authtoken", "AuthToken", "client_secret", "%61uthtoken"} {
			shown, secret := Redact(path + "?" + name + "=" + marker + "&" + after)
			if !secret || strings.Contains(shown, marker) {
				t.Errorf("%q and %s: shown as %q", path, name, shown)
			}
			if again, _ := Redact(shown); again != shown {
				t.Errorf("%q became %q", shown, again)
			}
		}
		if shown, secret := Redact(path); !secret && shown != path {
			t.Errorf("%q became %q without a secret", path, shown)
		}
	})
}
