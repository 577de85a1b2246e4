package zoho_test

import (
	"context"
	"fmt"
	"net/http"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

var exampleContext = context.Background()

// An app that has Zoho's American hosts built in is led to the data center of
// its connection; what comes back is judged by the service that answered.
func Example() {
	eu, _ := zoho.LookupDataCenter("eu")
	target, _, err := eu.RouteHost("desk.zoho.com", "/api/v1/tickets", zoho.RouteOptions{})
	fmt.Println(target.Scheme, target.Host, target.Strip, err)

	target, err = eu.RoutePath("/desk/api/v1/tickets", zoho.RouteOptions{})
	fmt.Println(target.Scheme, target.Host, target.Strip, err)

	body := []byte(`{"errorCode":"INVALID_OAUTH","message":"The OAuth Token you provided is invalid."}`)
	fmt.Println(zoho.Judge(target.Service, http.StatusUnauthorized, http.Header{}, body))
	// Output:
	// https desk.zoho.eu 0 <nil>
	// https desk.zoho.eu 5 <nil>
	// renew
}
