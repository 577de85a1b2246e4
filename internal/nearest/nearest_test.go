package nearest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/internal/nearest"
)

func TestWord(t *testing.T) {
	options := []string{"data_center", "client_id", "client_secret", "refresh_token", "refresh_before", "scopes", "any"}
	for word, want := range map[string]string{
		"client_id":                          "client_id",
		"clientid":                           "client_id",
		"Client-ID":                          "client_id",
		"clinet_id":                          "client_id",
		"data_centre":                        "data_center",
		"client_secrets":                     "client_secret",
		"secret":                             "client_secret",
		"refresh":                            "refresh_token",
		"scope":                              "scopes",
		"ayn":                                "any",
		"token_budget":                       "",
		"x":                                  "",
		"":                                   "",
		"id":                                 "",
		"1000.AAAABBBBCCCCDDD":               "",
		strings.Repeat("client_secret", 100): "",
	} {
		if got := nearest.Word(word, options); got != want {
			t.Errorf("Word(%.30q) = %q, want %q", word, got, want)
		}
	}
}

func TestWordWithoutCandidates(t *testing.T) {
	if got := nearest.Word("client", nil); got != "" {
		t.Errorf("got %q", got)
	}
	if got := nearest.Word("client", []string{""}); got != "" {
		t.Errorf("got %q", got)
	}
}

// What is proposed is always a candidate, and a candidate is always found.
func FuzzWord(f *testing.F) {
	f.Add("clinet", "client,scopes")
	f.Fuzz(func(t *testing.T, word, list string) {
		candidates := strings.Split(list, ",")
		got := nearest.Word(word, candidates)
		if got == "" {
			return
		}
		for _, candidate := range candidates {
			if got == candidate {
				return
			}
		}
		t.Errorf("Word(%q, %q) = %q, which is no candidate", word, list, got)
	})
}

func ExampleWord() {
	fmt.Println(nearest.Word("lb_retry", []string{"lb_retries", "lb_try_duration"}))
	// Output: lb_retries
}
