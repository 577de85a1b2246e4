package caddyzoho

import "testing"

// Where one argument could be either, a client's name wins.
func TestConnectionOf(t *testing.T) {
	known := []connectionInfo{{Client: "main", Account: "default"}, {Client: "main", Account: "shop"}, {Client: "other", Account: "default"}, {Client: "other", Account: "main"}}
	list := connectionList{Clients: []string{"main", "other"}, Connections: known}
	for _, tt := range []struct {
		args            []string
		client, account string // "" = refused
	}{
		{[]string{"other", "shop"}, "other", "shop"},
		{[]string{"main"}, "main", "default"},
		{[]string{"shop"}, "main", "shop"},
		{[]string{"default"}, "", ""}, // whose?
		{[]string{"nobody"}, "", ""},
		{nil, "", ""},
	} {
		client, account, err := connectionOf(tt.args, list)
		if (err != nil) != (tt.client == "") || err == nil && (client != tt.client || account != tt.account) {
			t.Errorf("%q: got %s/%s, %v", tt.args, client, account, err)
		}
	}
	if client, account, err := connectionOf([]string{"shop"}, connectionList{Clients: []string{"main"}, Connections: known[:1]}); err != nil || client != "main" || account != "shop" {
		t.Errorf("with one client: got %s/%s, %v", client, account, err)
	}
}
