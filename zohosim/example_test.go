package zohosim_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/caddy-zoho/caddy-zoho/zohosim"
)

func Example() {
	sim := zohosim.New(zohosim.Options{})
	sim.AddClient(zohosim.Client{ID: "1000.APP", Secret: "secret"})
	refreshToken := sim.Grant("1000.APP", "", "", "ZohoBooks.contacts.READ")
	base, stop := sim.StartHTTP()
	defer stop()

	http.PostForm(base+"/oauth/v2/token", url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {refreshToken},
		"client_id": {"1000.APP"}, "client_secret": {"secret"},
	})
	sim.Expire("") // from now on every access token is dead
	r, _ := http.NewRequest("GET", base+"/books/v3/contacts", nil)
	r.Header.Set("Authorization", "Zoho-oauthtoken 1000.an.expired.one")
	res, _ := http.DefaultClient.Do(r)
	body, _ := io.ReadAll(res.Body)
	fmt.Println(res.StatusCode, string(body))
	fmt.Println(sim.Stats().TokenRequests, sim.Stats().Refusals)
	// Output:
	// 401 {"code":57,"message":"You are not authorized to perform this operation"}
	// 1 map[books/dead:1]
}
