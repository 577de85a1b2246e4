package caddyzoho

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-zoho/caddy-zoho/internal/body"
	"github.com/caddy-zoho/caddy-zoho/internal/client"
	"github.com/caddy-zoho/caddy-zoho/internal/notify"
	"github.com/caddy-zoho/caddy-zoho/internal/stores"
	"github.com/caddy-zoho/caddy-zoho/internal/syntax"
	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// parseGlobal sets up the app `zoho` from the global option. It may be given several
// times; the blocks add up. Syntax:
//
//	zoho {
//	    store bolt [<dir>]
//	    store redis <url...> {
//	        username   <name>
//	        password   <secret>
//	        key_prefix <text>
//	        ca         <file>
//	        sentinel   <name>
//	    }
//	    encryption_key  <secret...>
//	    master_key_file <path>
//	    replay_buffer_total <memory> [<files>]
//	    notify          <url>
//
//	    custom_service <name> {
//	        host <name...>
//	        path <prefix>
//	    }
//
//	    client <name> {
//	        data_center          <code...> | <accounts_url> <api_url>
//	        client_id            <secret>
//	        client_secret        [<code>] <secret...>
//	        refresh_token        <secret>
//	        grant_type           client_credentials
//	        soid                 <service.org>
//	        scopes               <scope...>
//	        client_type          org
//	        display_name         <text>
//	        redirect_uri         <url>
//	        authorization_scheme <scheme>
//	        refresh_before       <duration>
//	        keep_warm            <duration>
//	        token_wait           <duration>
//	        token_budget         <number> <duration>
//	        trusted_ca           <file>
//	        network_proxy        <url>
//	        simulator            <address> <ca_file>
//
//	        account <name> {
//	            data_center   <code>
//	            refresh_token <secret>
//	            grant_type    client_credentials
//	            soid          <service.org>
//	            scopes        <scope...>
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
	l := syntax.NewLine(d)
	if len(l.Args) > 0 || !l.HasBlock() {
		return nil, l.Errorf("zoho takes a block of options and no arguments: " +
			"write `zoho {`, then each option on its own line, then `}`")
	}
	block := &globalBlock{App: app, clientLines: make(map[string]*syntax.Line)}
	lines, err := syntax.ReadBlock(l.Rest, block, lookupGlobal)
	if err != nil {
		return nil, err
	}
	if lines["store"] != nil && app.Store != nil && app.Store.Redis != nil && len(app.EncryptionKey) == 0 {
		return nil, lines.Errorf("store", "%w", errNoEncryptionKey)
	}
	return httpcaddyfile.App{Name: "zoho", Value: caddyconfig.JSON(app, nil)}, nil
}

// globalBlock is the app while a block of it is being parsed.
type globalBlock struct {
	*App
	clientLines map[string]*syntax.Line // by client, of this block
}

var globalOptions = map[string]syntax.Option[globalBlock]{
	"store": {
		Usage: "bolt [<dir>]` or `store redis <url...> { … }", Min: 1, Max: -1, Block: true,
		Parse: (*globalBlock).parseStore,
	},
	"encryption_key":  {Usage: "<secret...>", Min: 1, Max: -1, Parse: (*globalBlock).parseEncryptionKey},
	"master_key_file": {Usage: "<path>", Min: 1, Max: 1, Parse: (*globalBlock).parseMasterKeyFile},
	"client": {
		Usage: "<name> { … }", Min: 1, Max: 1, Block: true, Repeat: true,
		Parse: (*globalBlock).parseClient,
	},
	"custom_service": {
		Usage: "<name> { … }", Min: 1, Max: 1, Block: true, Repeat: true,
		Parse: (*globalBlock).parseCustomService,
	},
	"notify": {Usage: "<url>", Min: 1, Max: 1, Parse: (*globalBlock).parseNotify},
	"replay_buffer_total": {
		Usage: "<memory> [<files>]", Min: 1, Max: 2,
		Parse: (*globalBlock).parseReplayBufferTotal,
	},
}

func lookupGlobal(l *syntax.Line) (syntax.Option[globalBlock], error) {
	o, ok := globalOptions[l.Word]
	if ok {
		return o, nil
	}
	switch syntax.PlaceOf(l.Word) {
	case syntax.PlaceClient:
		return o, l.Errorf("%s belongs to a client: put it between the braces of `client <name> { … }`", l.Word)
	case syntax.PlaceProxy:
		return o, l.Errorf("%s belongs to the directive zoho_proxy, in a site", l.Word)
	}
	return o, syntax.Unknown(l, "the global option zoho", syntax.Available(globalOptions))
}

func (a *globalBlock) parseStore(l *syntax.Line) error {
	if a.Store != nil {
		return l.Errorf("store is given twice, first in an earlier block of the global option zoho")
	}
	switch l.Args[0] {
	case "bolt":
		return a.parseStoreBolt(l)
	case "redis":
		return a.parseStoreRedis(l)
	}
	return l.Errorf("store: there is no %s%s: write `store bolt [<dir>]` or `store redis <url...> { … }`",
		syntax.Show("kind", l.Args[0]), words.DidYouMean(l.Args[0], []string{"bolt", "redis"}))
}

func (a *globalBlock) parseStoreBolt(l *syntax.Line) error {
	switch {
	case l.HasBlock():
		return l.Errorf("store bolt takes no block: write `store bolt [<dir>]`")
	case len(l.Args) > 2:
		return l.Errorf("store bolt has %s: write `store bolt [<dir>]`, and quote a directory that has blanks",
			words.Plural(len(l.Args)-1, "argument"))
	case len(l.Args) == 2:
		a.Store = &Store{Bolt: l.Args[1]}
	}
	return syntax.NoPlaceholder(l, l.Args...)
}

func (a *globalBlock) parseStoreRedis(l *syntax.Line) error {
	config := &stores.Redis{URLs: l.Args[1:]}
	if len(config.URLs) == 0 {
		return l.Errorf("store redis has no address: write `store redis redis://HOST:PORT` " +
			"(an unset {$NAME} becomes nothing)")
	}
	if err := syntax.NoPlaceholder(l, l.Args...); err != nil {
		return err
	}
	if _, err := syntax.ReadBlock(l.Rest, config, lookupRedis); err != nil {
		return err
	}
	if err := config.Parse(); err != nil {
		return l.Errorf("store redis: %w", err)
	}
	a.Store = &Store{Redis: config}
	return nil
}

var redisOptions = map[string]syntax.Option[stores.Redis]{
	"username":   {Usage: "<name>", Min: 1, Max: 1, Parse: redisText(func(r *stores.Redis) *string { return &r.Username })},
	"password":   {Usage: "<secret>", Min: 1, Max: 2, Parse: parseRedisPassword},
	"key_prefix": {Usage: "<text>", Min: 1, Max: 1, Parse: redisText(func(r *stores.Redis) *string { return &r.KeyPrefix })},
	"ca":         {Usage: "<file>", Min: 1, Max: 1, Parse: redisText(func(r *stores.Redis) *string { return &r.CA })},
	"sentinel":   {Usage: "<name>", Min: 1, Max: 1, Parse: redisText(func(r *stores.Redis) *string { return &r.Sentinel })},
}

func lookupRedis(l *syntax.Line) (syntax.Option[stores.Redis], error) {
	if o, ok := redisOptions[l.Word]; ok {
		return o, nil
	}
	return syntax.Option[stores.Redis]{}, syntax.Unknown(l, "store redis", syntax.Available(redisOptions))
}

// redisText parses an option that is taken as it stands.
func redisText(field func(*stores.Redis) *string) func(*stores.Redis, *syntax.Line) error {
	return func(r *stores.Redis, l *syntax.Line) error {
		if l.Args[0] == "" {
			return l.Errorf("%s is empty: write a value, or leave the line out", l.Word)
		}
		*field(r) = l.Args[0]
		return syntax.NoPlaceholder(l, l.Args[0])
	}
}

func parseRedisPassword(r *stores.Redis, l *syntax.Line) error {
	secrets, err := client.ParseSecrets(l, l.Args)
	if err != nil {
		return err
	}
	if len(secrets) > 1 {
		return l.Errorf("password takes one secret: write `password {env.NAME}`")
	}
	r.Password = secrets[0]
	return nil
}

func (a *globalBlock) parseNotify(l *syntax.Line) error {
	if a.Notify != "" {
		return l.Errorf("notify is given twice, first in an earlier block of the global option zoho")
	}
	if err := notify.URL(l.Args[0]).Parse(); err != nil {
		return l.Errorf("notify: %w", err)
	}
	a.Notify = l.Args[0]
	return nil
}

func (a *globalBlock) parseMasterKeyFile(l *syntax.Line) error {
	switch {
	case a.MasterKeyFile != "":
		return l.Errorf("master_key_file is given twice, first in an earlier block of the global option zoho")
	case l.Args[0] == "":
		return l.Errorf("master_key_file is empty: name the file, or leave the line out")
	}
	a.MasterKeyFile = l.Args[0]
	return syntax.NoPlaceholder(l, a.MasterKeyFile)
}

func (a *globalBlock) parseReplayBufferTotal(l *syntax.Line) error {
	if a.ReplayBufferTotal != nil {
		return l.Errorf("replay_buffer_total is given twice, first in an earlier block of the global option zoho")
	}
	memory, err := syntax.ParseSize(l, l.Args[0], 1<<40)
	if err != nil {
		return err
	}
	a.ReplayBufferTotal = &body.Totals{Memory: &memory}
	if len(l.Args) == 2 {
		files, err := syntax.ParseSize(l, l.Args[1], 1<<50)
		if err != nil {
			return err
		}
		a.ReplayBufferTotal.Files = &files
	}
	return nil
}

func (a *globalBlock) parseEncryptionKey(l *syntax.Line) (err error) {
	if len(a.EncryptionKey) > 0 {
		return l.Errorf("encryption_key is given twice, first in an earlier block of the global option zoho; " +
			"write several on one line, the newest first")
	}
	a.EncryptionKey, err = client.ParseSecrets(l, l.Args)
	return err
}

var customServiceOptions = map[string]syntax.Option[zoho.CustomService]{
	"host": {Usage: "<name...>", Min: 1, Max: -1, Repeat: true, Parse: func(s *zoho.CustomService, l *syntax.Line) error {
		s.Hosts = append(s.Hosts, l.Args...)
		return syntax.NoPlaceholder(l, l.Args...)
	}},
	"path": {Usage: "<prefix>", Min: 1, Max: 1, Parse: func(s *zoho.CustomService, l *syntax.Line) error {
		s.Path = l.Args[0]
		return syntax.NoPlaceholder(l, l.Args...)
	}},
}

func (a *globalBlock) parseCustomService(l *syntax.Line) error {
	name := l.Args[0]
	if a.CustomServices[name] != nil {
		return l.Errorf("custom_service %s is given twice", name)
	}
	service := new(zoho.CustomService)
	_, err := syntax.ReadBlock(l.Rest, service, func(l *syntax.Line) (syntax.Option[zoho.CustomService], error) {
		o, ok := customServiceOptions[l.Word]
		if !ok {
			return o, syntax.Unknown(l, "custom_service", syntax.Available(customServiceOptions))
		}
		return o, nil
	})
	if err != nil {
		return err
	}
	if a.CustomServices == nil {
		a.CustomServices = make(map[string]*zoho.CustomService)
	}
	a.CustomServices[name] = service
	if _, err := zoho.NewCatalog(a.CustomServices); err != nil { // the others are checked already
		return l.Errorf("%w", err)
	}
	return nil
}

func (a *globalBlock) parseClient(l *syntax.Line) error {
	name := l.Args[0]
	if first := a.clientLines[name]; first != nil {
		return l.Errorf("client %s is given twice, first at %s", name, first.Where())
	}
	if a.Clients[name] != nil {
		return l.Errorf("client %s is given twice, first in an earlier block of the global option zoho", name)
	}
	config, err := client.Parse(l, name)
	if err != nil {
		return err
	}
	if a.Clients == nil {
		a.Clients = make(map[string]*client.Config)
	}
	a.Clients[name], a.clientLines[name] = config, l
	return nil
}
