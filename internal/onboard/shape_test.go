package onboard

import (
	"testing"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// What is refused unasked is what cannot be a code or token; all that could be is Zoho's to judge.
func TestShape(t *testing.T) {
	us, _ := zoho.LookupDataCenter("us")
	custom, err := zoho.CustomDataCenter("http://127.0.0.1:1", "http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	for text, possible := range map[string]bool{
		"":                               false,
		"hello":                          false,
		"4f1c9e22b7aa08d35510":           false, // a client secret
		"1000.TESTCLIENT7Q2WX":           false, // a client id
		"1000.cut.":                      false,
		"ann@example.com":                false,
		"ya29.a0AfH6SMB.x":               false, // somebody else's
		"https://accounts.zoho.com/a.b.": false,
		"1000.0123456789abcdef0123456789abcdef.0123456789abcdef0123456789abcdef": true,
		"1000.a.b":        true,
		"1004.a-b_c.d":    true,
		"1000.a.b.c":      true,
		"20000.some.more": true,
	} {
		for what, err := range map[string]*Error{"code": CheckCode(us, text), "refresh token": CheckRefreshToken(us, text)} {
			if got := err == nil; got != possible {
				t.Errorf("%q as a %s: %v, want %v", text, what, got, possible)
			}
		}
		if err := CheckCode(custom, text); err != nil {
			t.Errorf("%q at a data center of one's own: %v", text, err)
		}
	}
}
