package usage

import (
	"fmt"
	"slices"
	"testing"

	"github.com/caddy-zoho/caddy-zoho/tokencache"
)

func TestUsage(t *testing.T) {
	var u Usage
	a, b := tokencache.Key{Client: "main", Account: "a"}, tokencache.Key{Client: "main", Account: "b"}
	crm, more, books, other := new(tokencache.Resource), new(tokencache.Resource), new(tokencache.Resource), new(tokencache.Resource)
	if !u.Since().IsZero() || len(u.Connections()) != 0 {
		t.Error("something was noted already")
	}
	for range 2 {
		u.Note(crm, a, "crm", "GET", "erp")
		u.Note(crm, a, "crm", "POST", "")
		u.Note(books, a, "books", "PURGE", "shop")
		u.Note(other, b, "crm", "DELETE", "erp")
		u.Note(more, a, "crm", "GET", "erp")
	}
	all := u.Connections()
	if got := fmt.Sprint(all[a].Services, all[b].Services); got != "map[books:[other] crm:[GET POST]] map[crm:[DELETE]]" {
		t.Error(got)
	}
	if got := all[a].Callers; !slices.Equal(got, []string{"erp", "shop"}) || u.Since().IsZero() {
		t.Error(got)
	}
	for i := range 2 * maxCallers {
		u.Note(crm, a, "crm", "GET", fmt.Sprint("caller-", i))
	}
	if got := len(u.Connections()[a].Callers); got != maxCallers+1 { // shop's are those of another service
		t.Errorf("%d callers are remembered", got)
	}
	u.Forget(a)
	if all := u.Connections(); len(all) != 1 || len(all[b].Services) != 1 {
		t.Error("what is gone is remembered, or what is there is not")
	}
	key := a
	if n := testing.AllocsPerRun(100, func() { u.Note(crm, key, "crm", "GET", "erp") }); n > 1 {
		t.Errorf("a call takes %v allocations", n)
	}
}
