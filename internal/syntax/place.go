package syntax

// Place is where an option belongs.
type Place int

// The places. An option that belongs to a client and to an account is the client's.
const (
	PlaceUnknown Place = iota
	PlaceGlobal
	PlaceClient
	PlaceProxy
)

// places tells options of one place from those of another, so that a word in the wrong
// place is told where it belongs.
var places = map[Place][]string{
	PlaceGlobal: {"store", "encryption_key", "master_key_file", "replay_buffer_total", "custom_service", "client", "notify"},
	PlaceClient: {"data_center", "client_id", "client_secret", "refresh_token", "grant_type", "soid", "account", "scopes", "display_name", "client_type",
		"redirect_uri",
		"authorization_scheme", "refresh_before", "keep_warm", "token_wait", "token_budget", "trusted_ca",
		"network_proxy", "simulator"},
	PlaceProxy: {
		"callers",
		"allowed_hosts",
		"allow_browsers",
		"upstream",
		"services",
		"any_data_center",
		"answer_token_calls",
		"replay_buffer",
		"api_keys",
		"principal",
		"policy",
		"dry_run",
		"header_up",
		"header_down",
		"flush_interval",
		"stream_timeout",
		"stream_close_delay",
		"stream_buffer_size",
		"lb_retries",
		"lb_try_duration",
		"lb_try_interval",
		"fail_duration",
		"max_fails",
		"replace_status",
		"handle_response",
		"transport",
	},
}

var placeIndex = func() map[string]Place {
	index := make(map[string]Place)
	for place, words := range places {
		for _, word := range words {
			index[word] = place
		}
	}
	return index
}()

// PlaceOf is where an option of that word belongs.
func PlaceOf(word string) Place { return placeIndex[word] }
