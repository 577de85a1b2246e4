package client

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// Data centers of a client: those that it is registered in, and the one that an account is in.

func (c *Client) provisionDataCenters() error {
	centers, err := parseDataCenters(c.DataCenter)
	c.Centers = centers
	return err
}

// parseDataCenters takes codes, or the two URLs of a custom data center.
func parseDataCenters(args []string) ([]zoho.DataCenter, error) {
	if len(args) == 0 {
		return nil, errors.New("data_center is missing: write a code such as us or eu")
	}
	if givenByURLs(args) {
		if near := zoho.NearestDataCenter(args[0]); len(args) == 1 && near != "" {
			return nil, fmt.Errorf("data_center takes codes, or exactly two URLs (authorization server and API): "+
				"for Zoho's own server write `data_center %s`", near)
		}
		if len(args) != 2 {
			return nil, fmt.Errorf("data_center takes codes, or exactly two URLs (authorization server and API), "+
				"not %d arguments", len(args))
		}
		custom, err := zoho.CustomDataCenter(args[0], args[1])
		if err != nil {
			return nil, fmt.Errorf("data_center: %w", err)
		}
		return []zoho.DataCenter{custom}, nil
	}
	var centers []zoho.DataCenter
	for _, code := range args {
		center, ok := zoho.LookupDataCenter(code)
		if !ok {
			return nil, zoho.UnknownDataCenter(code)
		}
		if slices.Contains(centers, center) {
			return nil, fmt.Errorf("data_center %s is named twice", code)
		}
		centers = append(centers, center)
	}
	if len(centers) > 1 && slices.ContainsFunc(centers, zoho.DataCenter.Isolated) {
		return nil, errors.New("data_center cn cannot be combined with others: China shares no clients with other data centers, " +
			"so add a client for it")
	}
	return centers, nil
}

// givenByURLs reports whether a data center is given by its two URLs.
func givenByURLs(args []string) bool { return strings.Contains(args[0], "://") }

// centerCodes are codes as the table has them; the URLs of a custom data center stay as they are.
func centerCodes(args []string) []string {
	if givenByURLs(args) {
		return args
	}
	codes := make([]string, len(args))
	for i, text := range args {
		codes[i] = zoho.NormalCode(text)
	}
	return codes
}

// center is the data center that owns a grant.
func (c *Client) center(accountsServer string) (*zoho.DataCenter, bool) {
	for i := range c.Centers {
		if c.Centers[i].Accounts == accountsServer {
			return &c.Centers[i], true
		}
	}
	if c.Centers[0].Custom {
		return nil, false
	}
	center, ok := zoho.LookupAccountsServer(accountsServer)
	return &center, ok
}

// CenterOf is the data center of an account's connection: the one of its grant, or as
// long as that was not looked at, the configured one.
func (c *Client) CenterOf(account, accountsServer string) *zoho.DataCenter {
	if center, ok := c.center(accountsServer); ok && accountsServer != "" {
		return center
	}
	return c.configuredCenter(account)
}

// CenterNow is CenterOf by what is known of the connection now.
func (c *Client) CenterNow(account string) *zoho.DataCenter {
	conn, err := c.Shared.Cache.Conn(c.Cache, account)
	if err != nil {
		return c.configuredCenter(account)
	}
	return c.CenterOf(account, conn.AccountsServer())
}

// configuredCenter is where an account's grant is from, if the configuration has it.
func (c *Client) configuredCenter(account string) *zoho.DataCenter {
	if center := c.owners[account]; center != nil {
		return center
	}
	return &c.Centers[0]
}
