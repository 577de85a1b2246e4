package caddyzoho

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-zoho/caddy-zoho/internal/words"
)

// parseGlobal sets up the app `zoho` from the global option. It may be given several
// times; the blocks add up. Syntax:
//
//	zoho {
//	    store bolt [<dir>]
//	    encryption_key  <secret...>
//	    master_key_file <path>
//	    notify          <url>
//
//	    client <name> {
//	        data_center          <code...> | <accounts_url> <api_url>
//	        client_id            <secret>
//	        client_secret        [<code>] <secret...>
//	        refresh_token        <secret>
//	        scopes               <scope...>
//	        redirect_uri         <url>
//	        authorization_scheme <scheme>
//	        refresh_before       <duration>
//	        keep_warm            <duration>
//	        token_budget         <number> <duration>
//	        trusted_ca           <file>
//	        network_proxy        <url>
//	        simulator            <address> <ca_file>
//
//	        account <name> {
//	            data_center   <code>
//	            refresh_token <secret>
//	        }
//	    }
//	}
//
// A secret is a placeholder, {env.NAME} or {file./path/to/file}. `insecure_literal`
// directly before a literal allows that one. Everything else takes no placeholders
// but {$NAME}.
func parseGlobal(d *caddyfile.Dispenser, existing any) (any, error) {
	app := new(App)
	if earlier, ok := existing.(httpcaddyfile.App); ok {
		if err := json.Unmarshal(earlier.Value, app); err != nil {
			return nil, err
		}
	}
	d.Next()
	l := newLine(d)
	if len(l.args) > 0 || !l.hasBlock() {
		return nil, l.errorf("zoho takes a block with options, and no arguments: write `zoho {`, then its options on lines of their own, then `}`")
	}
	if _, err := readBlock(l.d, app, lookupGlobal); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "zoho", Value: caddyconfig.JSON(app, nil)}, nil
}

// The tables of options are filled by init, since their functions look options up.
var globalOptions map[string]option[App]

func init() {
	globalOptions = map[string]option[App]{
		"store":           {usage: "bolt [<dir>]", min: 1, max: -1, parse: (*App).parseStore},
		"encryption_key":  {usage: "<secret...>", min: 1, max: -1, parse: (*App).parseEncryptionKey},
		"master_key_file": {usage: "<path>", min: 1, max: 1, parse: (*App).parseMasterKeyFile},
		"client":          {usage: "<name> { … }", min: 1, max: 1, block: true, repeat: true, parse: (*App).parseClient},
		"notify":          {usage: "<url>", min: 1, max: 1, parse: (*App).parseNotify},
	}
}

func lookupGlobal(l *line) (option[App], error) {
	o, ok := globalOptions[l.word]
	if ok {
		return o, nil
	}
	if _, ok := clientOptions[l.word]; ok {
		return o, l.errorf("%s belongs to a client: put it between the braces of `client <name> { … }`", l.word)
	}
	if _, ok := proxyOptions[l.word]; ok {
		return o, l.errorf("%s belongs to the directive zoho_proxy, in a site", l.word)
	}
	return o, unknownOption(l, "the global option zoho", available(globalOptions))
}

// notAvailable refuses what the design has and this version has not.
func notAvailable[T any](instead string) func(*T, *line) error {
	return func(_ *T, l *line) error {
		if instead != "" {
			return l.errorf("%s %w; %s", l.word, errNotInThisVersion, instead)
		}
		return l.errorf("%s %w", l.word, errNotInThisVersion)
	}
}

func (a *App) parseStore(l *line) error {
	switch {
	case l.args[0] == "redis":
		return l.errorf("store redis %w; use `store bolt [<dir>]`", errNotInThisVersion)
	case l.args[0] != "bolt":
		return l.errorf("store: there is no %s: write `store bolt [<dir>]`", show("kind", l.args[0]))
	case len(l.args) > 2:
		return l.errorf("store bolt has %s: write `store bolt [<dir>]`, a directory with blanks in quotes", words.Plural(len(l.args)-1, "argument"))
	case a.Store != nil:
		return l.errorf("store is given twice, first in an earlier block of the global option zoho")
	}
	if len(l.args) == 2 {
		a.Store = &Store{Bolt: l.args[1]}
	}
	return noPlaceholder(l, l.args...)
}

func (a *App) parseNotify(l *line) error {
	if a.Notify != "" {
		return l.errorf("notify is given twice, first in an earlier block of the global option zoho")
	}
	if err := hook(l.args[0]).parse(); err != nil {
		return l.errorf("notify: %w", err)
	}
	a.Notify = l.args[0]
	return nil
}

func (a *App) parseMasterKeyFile(l *line) error {
	switch {
	case a.MasterKeyFile != "":
		return l.errorf("master_key_file is given twice, first in an earlier block of the global option zoho")
	case l.args[0] == "":
		return l.errorf("master_key_file is empty: name the file, or leave the line out")
	}
	a.MasterKeyFile = l.args[0]
	return noPlaceholder(l, a.MasterKeyFile)
}

func (a *App) parseEncryptionKey(l *line) (err error) {
	if len(a.EncryptionKey) > 0 {
		return l.errorf("encryption_key is given twice, first in an earlier block of the global option zoho; give several on one line, the newest first")
	}
	a.EncryptionKey, err = parseSecrets(l, l.args)
	return err
}
