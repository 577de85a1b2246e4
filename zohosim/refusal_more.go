package zohosim

import (
	"maps"
	"slices"
)

// The second half of rows, kept apart for length only.
func init() { maps.Copy(rows, moreRows) }

var moreRows = map[string]map[string]Answer{
	"projects": {
		CaseNoHeader:   jsonAnswer(401, `{"error":{"status_code":"401","title":"INVALID_TICKET","details":[{"message":"Invalid ticket."}]}}`),
		CaseDead:       jsonAnswer(401, `{"error":{"status_code":"401","title":"INVALID_OAUTHTOKEN","details":[{"message":"Invalid OAuth access token."}]}}`),
		CaseScope:      jsonAnswer(401, `{"error":{"status_code":"401","title":"INVALID_OAUTHSCOPE","details":[{"message":"Invalid OAuth scope."}]}}`),
		CasePermission: jsonAnswer(403, `{"error":{"status_code":"403","title":"PERMISSION_DENIED","details":[{"message":"You do not have permission to perform this action."}]}}`),
		CaseLimit:      jsonAnswer(400, `{"error":{"status_code":"400","title":"URL_ROLLING_THROTTLES_LIMIT_EXCEEDED","details":[{"message":"You have exceeded the maximum number of requests."}]}}`),
	},
	"projects-v1": { // 6401 comes under 401 and 400
		CaseNoHeader:   jsonAnswer(400, `{"error":{"code":6401,"message":"Unauthorized request"}}`), // by pattern
		CaseDead:       jsonAnswer(401, `{"error":{"code":6401,"message":"Invalid OAuth access token."}}`),
		CaseScope:      jsonAnswer(401, `{"error":{"code":6401,"message":"Invalid OAuth scope."}}`), // by pattern
		CasePermission: jsonAnswer(403, `{"error":{"code":6403,"message":"Access denied"}}`),
		CaseLimit:      jsonAnswer(200, `{"error":{"code":6403,"message":"URL_ROLLING_THROTTLES_LIMIT_EXCEEDED"}}`),
	},
	"people": { // the HTTP status was never recorded
		CaseNoHeader:   jsonAnswer(401, `{"response":{"errors":{"code":7213,"message":"The provided OAuth token is not valid."},"message":"Error occurred","status":1}}`),
		CaseDead:       jsonAnswer(401, `{"response":{"errors":{"code":7202,"message":"Invalid OAuth token."},"message":"Error occurred","status":1}}`),
		CaseScope:      jsonAnswer(401, `{"response":{"errors":{"code":7218,"message":"Invalid OAuth Scope"},"message":"Error occurred","status":1}}`),
		CasePermission: jsonAnswer(403, `{"response":{"errors":{"code":7037,"message":"Permission denied."},"message":"Error occurred","status":1}}`),
		CaseLimit:      jsonAnswer(429, `{"response":{"errors":{"code":7209,"message":"API access blocked since threshold limit exceeded"},"message":"Error occurred","status":1}}`),
	},
	"sign": { // scope by pattern
		CaseNoHeader: jsonAnswer(401, `{"code":9031,"message":"Ticket invalid","status":"failure"}`),
		CaseDead:     jsonAnswer(401, `{"code":9041,"message":"Invalid Oauth token","status":"failure"}`),
		CaseScope:    jsonAnswer(401, `{"code":9043,"message":"Invalid Oauth scope","status":"failure"}`),
	},
	"cliq": {
		CaseNoHeader: {Status: 401, ContentType: "text/html", Body: "\r\n"},
		CaseDead:     jsonAnswer(401, `{"code":"oauthtoken_invalid","message":"Invalid OAuth token passed."}`),
		CaseScope:    jsonAnswer(401, `{"code":"oauthtoken_scope_invalid","message":"Request was rejected because of invalid AuthToken Scope."}`),
		CaseLimit:    jsonAnswer(400, `{"code":"request_limit_exceeded","message":"You have exceeded the URL throttle limits."}`),
	},
	"salesiq": { // errors come with 200, except in the variant
		CaseNoHeader:   jsonAnswer(200, `{"error":{"code":1002,"message":"Invalid ticket."}}`),
		CaseDead:       jsonAnswer(200, `{"error":{"code":1008,"message":"Invalid OAuthToken."}}`),
		CaseScope:      jsonAnswer(200, `{"error":{"code":1009,"message":"Invalid OAuthScope."}}`),
		CasePermission: jsonAnswer(200, `{"error":{"code":1016,"message":"Access denied."}}`),
		CaseLimit:      jsonAnswer(200, `{"error":{"code":1023,"message":"Remote IP locked."}}`),
	},
	"campaigns": {
		CaseNoHeader: jsonAnswer(401, `{"status":"error","Code":"1007","message":"Unauthorized request."}`),
		CaseDead:     jsonAnswer(401, `{"status":"error","Code":"1007","message":"Unauthorized request."}`),
	},
	"workdrive": { // R008 is about a file or folder that is gone: a fresh token gets it too
		CaseNoHeader:   {Status: 500, ContentType: typeJSONAPI, Body: `{"errors":[{"id":"F000","title":"INVALID_TICKET"}]}`},
		CaseDead:       {Status: 401, ContentType: typeJSONAPI, Body: `{"errors":[{"id":"F7003","title":"Invalid OAuth token."}]}`},
		CaseScope:      {Status: 401, ContentType: typeJSONAPI, Body: `{"errors":[{"id":"F7007","title":"Invalid OAuth scope."}]}`},
		CasePermission: {Status: 401, ContentType: typeJSONAPI, Body: `{"errors":[{"id":"R008","title":"Unauthorized access"}]}`},
		CaseLimit: {Status: 429, ContentType: typeJSONAPI, Body: `{"errors":[{"id":"F7008","title":"URL throttles limit exceeded."}]}`,
			Header: map[string]string{"Retry-After": "300"}},
		CaseOther: {Status: 401, ContentType: typeJSONAPI, Body: `{"errors":[{"id":"R008","title":"Unauthorized access"}]}`},
	},
	"workdrive-files": { // the download and upload hosts
		CaseNoHeader: {Status: 500, ContentType: typeJSONAPI, Body: `{"errors":[{"id":"F000","title":"INVALID_TICKET"}]}`},
		CaseDead:     {Status: 401, ContentType: typeJSONAPI, Body: `{"errors":[{"id":"F7003","title":"Invalid OAuth token."}]}`},
		CaseScope:    {Status: 401, ContentType: typeJSONAPI, Body: `{"errors":[{"id":"F7007","title":"INVALID_OAUTHSCOPE"}]}`},
	},
	"sheet": {
		CaseNoHeader: jsonAnswer(401, `{"status":"failure","error_code":2401,"error_message":"Invalid parameter value [authorization ticket]"}`),
		CaseDead:     jsonAnswer(401, `{"status":"failure","error_code":2401,"error_message":"Invalid parameter value [OAUTHTOKEN]"}`),
	},
	"social": {
		CaseNoHeader: jsonAnswer(401, `{"error":{"code":401,"message":"INVALID_TICKET","status":"failure"}}`), // by pattern
		CaseDead:     jsonAnswer(401, `{"error":{"code":401,"message":"INVALID_OAUTHTOKEN","status":"failure"}}`),
		CaseScope:    jsonAnswer(401, `{"error":{"code":401,"message":"INVALID_OAUTHSCOPE","status":"failure"}}`),
	},
	"catalyst": { // by pattern
		CaseNoHeader: jsonAnswer(401, `{"status":"failure","data":{"error_code":"INVALID_TICKET","message":"invalid ticket"}}`),
		CaseDead:     jsonAnswer(401, `{"status":"failure","data":{"error_code":"INVALID_TOKEN","message":"invalid oauth token"}}`),
		CaseScope:    jsonAnswer(401, `{"status":"failure","data":{"error_code":"INVALID_OAUTHSCOPE","message":"invalid oauth scope"}}`),
	},
	"quickml": {
		CaseNoHeader: jsonAnswer(400, `{"status":"failure","data":{"error_code":"INVALID_TICKET","message":"Invalid ticket"}}`),
		CaseDead:     jsonAnswer(401, `{"status":"failure","data":{"error_code":"INVALID_OAUTHTOKEN","message":"Invalid OAuth token"}}`),
	},
	"meeting": { // all but the scope's code by pattern
		CaseNoHeader: jsonAnswer(401, `{"error":{"key":"INVALID_TICKET","message":"Invalid ticket."}}`),
		CaseDead:     jsonAnswer(401, `{"error":{"key":"INVALID_OAUTHTOKEN","message":"Invalid OAuth token."}}`),
		CaseScope:    jsonAnswer(401, `{"error":{"key":"INVALID_OAUTHSCOPE","message":"Invalid OAuth scope."}}`),
	},
	"accounts": { // user info, by pattern
		CaseNoHeader: jsonAnswer(401, `{"response":"error","cause":"INVALID_TICKET"}`),
		CaseDead:     jsonAnswer(401, `{"response":"error","cause":"INVALID_OAUTHTOKEN"}`),
		CaseScope:    jsonAnswer(401, `{"response":"error","cause":"INVALID_OAUTHSCOPE"}`),
	},
	"other": { // products of which no refusal is known, and the cases that rows leave out
		CaseNoHeader:   jsonAnswer(401, `{"error":{"code":"INVALID_TICKET","message":"Invalid ticket."}}`),
		CaseDead:       jsonAnswer(401, `{"error":{"code":"INVALID_OAUTHTOKEN","message":"Invalid OAuth token."}}`),
		CaseScope:      jsonAnswer(401, `{"error":{"code":"INVALID_OAUTHSCOPE","message":"Invalid OAuth scope."}}`),
		CasePermission: jsonAnswer(403, `{"error":{"code":"PERMISSION_DENIED","message":"Permission denied."}}`),
		CaseOrg:        jsonAnswer(403, `{"error":{"code":"ORG_MISMATCH","message":"The token belongs to another organization."}}`),
		CaseLimit:      jsonAnswer(429, `{"error":{"code":"TOO_MANY_REQUESTS","message":"Too many requests."}}`),
		CaseOther:      {Status: 401, ContentType: typeHTML, Body: "<html><head><title>Error</title></head><body><h1>401 Unauthorized</h1></body></html>"},
	},
}

// A variant is an answer that was seen beside the usual one, or that sources disagree about.
type variant struct {
	row, refusalCase string
	answer           Answer
}

var variants = map[string]variant{
	"throttle-200":     {}, // Access Denied comes with 200 instead of 400
	"books-old-text":   {"books", CaseNoHeader, jsonAnswer(401, `{"code":14,"message":"Invalid value passed for authtoken"}`)},
	"cliq-scope-403":   {"cliq", CaseScope, jsonAnswer(403, `{"code":"oauthtoken_scope_invalid","message":"Request was rejected because of invalid AuthToken Scope."}`)},
	"desk-html":        {"desk", CasePermission, Answer{Status: 401, ContentType: typeHTML, Body: "<html><head><title>Error</title></head><body><h1>Unauthorized</h1></body></html>"}},
	"people-200":       {"people", CaseDead, jsonAnswer(200, moreRows["people"][CaseDead].Body)},
	"people-400":       {"people", CaseDead, jsonAnswer(400, moreRows["people"][CaseDead].Body)},
	"projects-403":     {"projects", CaseScope, jsonAnswer(403, `{"error":{"status_code":"403","title":"INVALID_OAUTHSCOPE","details":[{"message":"Invalid OAuth scope."}]}}`)},
	"projects-v1-400":  {"projects-v1", CaseDead, jsonAnswer(400, moreRows["projects-v1"][CaseDead].Body)},
	"projects-200":     {"projects", CaseLimit, jsonAnswer(200, moreRows["projects"][CaseLimit].Body)},
	"salesiq-400":      {"salesiq", CaseDead, jsonAnswer(400, `{"error":{"code":1001,"message":"Unknown authentication error, Contact SalesIQ Team!"}}`)},
	"workdrive-f7004":  {"workdrive", CaseScope, Answer{Status: 401, ContentType: typeJSONAPI, Body: `{"errors":[{"id":"F7004","title":"Invalid OAuth scope."}]}`}},
	"workdrive-header": {"workdrive", CaseDead, Answer{Status: 401, ContentType: typeJSONAPI, Body: moreRows["workdrive"][CaseDead].Body, Header: map[string]string{"WWW-Authenticate": `Bearer error="expired_token"`}}},
}

// Variants lists the names that Options.Variants takes.
func Variants() []string { return slices.Sorted(maps.Keys(variants)) }
