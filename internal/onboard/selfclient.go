package onboard

import (
	"encoding/json"
	"fmt"
	"strings"
)

// ParseSelfClient reads the code that Zoho's API console made for a self client: the code alone, or the JSON that the
// console offers for download, which has the client's id and secret as well.
func ParseSelfClient(cl *Client, text string) (code string, err error) {
	text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	if !isJSON(text) {
		cb, err := ParsePasted(text)
		if err != nil || cb.Code == "" {
			return "", errNoSelfClientCode("What was pasted is not a code from Zoho's API console.")
		}
		return cb.Code, nil
	}
	var file struct {
		ClientID string `json:"client_id"`
		Code     string `json:"code"`
	}
	unbroken := strings.NewReplacer("\r", "", "\n", "").Replace(text) // as a terminal breaks long lines
	switch err := json.Unmarshal([]byte(unbroken), &file); {
	case err != nil:
		return "", errNoSelfClientCode("What was pasted begins like JSON, but is not all of it.")
	case file.Code == "":
		return "", errNoSelfClientCode("This JSON has no `code` in it.")
	case file.ClientID != "" && file.ClientID != cl.ID():
		return "", errCallback(fmt.Sprintf("This JSON is for another client: its client_id is not that of client %s. It was not sent to Zoho.", cl.Name),
			"Generate the code for this client in the API console, or name the client that the JSON belongs to.")
	}
	return file.Code, nil
}

func isJSON(text string) bool { return strings.HasPrefix(text, "{") }

func errNoSelfClientCode(text string) error {
	return errCallback(text, "Open the self client in the API console, choose Generate Code, and paste the code, "+
		"or all of the JSON that the console offers for download.")
}
