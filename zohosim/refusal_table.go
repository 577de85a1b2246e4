package zohosim

// refusals are the refusals by product family: what Zoho was measured or documented to answer, completed
// by the family's pattern where nothing is established (marked "by pattern").
var refusals = map[string]map[string]Answer{
	"crm": {
		CaseNoHeader:   jsonAnswer(401, `{"code":"AUTHENTICATION_FAILURE","details":{},"message":"Authentication failed","status":"error"}`),
		CaseDead:       jsonAnswer(401, `{"code":"INVALID_TOKEN","details":{},"message":"invalid oauth token","status":"error"}`),
		CaseScope:      jsonAnswer(401, `{"code":"OAUTH_SCOPE_MISMATCH","details":{},"message":"Unauthorized","status":"error"}`),
		CasePermission: jsonAnswer(403, `{"code":"NO_PERMISSION","details":{"permissions":["Crm_Implied_Api_Access"]},"message":"permission denied","status":"error"}`),
		CaseOrg:        jsonAnswer(401, `{"code":"INVALID_TOKEN","details":{},"message":"invalid oauth token","status":"error"}`), // by pattern
		CaseLimit:      jsonAnswer(429, `{"code":"TOO_MANY_REQUESTS","details":{},"message":"You have made too many requests. Please try again after some time.","status":"error"}`),
		CaseOther:      jsonAnswer(403, `{"code":"AUTHORIZATION_FAILED","details":{},"message":"User does not have sufficient privilege","status":"error"}`),
	},
	"phonebridge": { // signals a dead token by 400; all but the dead token by pattern
		CaseNoHeader:   jsonAnswer(400, `{"code":"AUTHENTICATION_FAILURE","message":"Authentication failed","status":"error"}`),
		CaseDead:       jsonAnswer(400, `{"code":"INVALID_TOKEN","message":"invalid oauth token","status":"error"}`),
		CaseScope:      jsonAnswer(400, `{"code":"OAUTH_SCOPE_MISMATCH","message":"invalid oauth scope to access this URL","status":"error"}`),
		CasePermission: jsonAnswer(403, `{"code":"NO_PERMISSION","message":"permission denied","status":"error"}`),
	},
	"books": { // code 57 is all of dead token, missing scope and missing permission
		CaseNoHeader:   jsonAnswer(401, `{"code":14,"message":"The request could not be authenticated as the authentication value you entered is invalid."}`),
		CaseDead:       jsonAnswer(401, `{"code":57,"message":"You are not authorized to perform this operation"}`),
		CaseScope:      jsonAnswer(401, `{"code":57,"message":"You are not authorized to perform this operation"}`),
		CasePermission: jsonAnswer(401, `{"code":57,"message":"You are not authorized to perform this operation"}`),
		CaseOrg:        jsonAnswer(401, `{"code":57,"message":"You are not authorized to perform this operation"}`),
		CaseLimit:      jsonAnswer(429, `{"code":44,"message":"For security reasons you have been blocked for some time as you have exceeded the maximum number of requests per minute that can be raised from one account."}`),
	},
	"desk": {
		CaseNoHeader:   jsonAnswer(401, `{"errorCode":"UNAUTHORIZED","message":"You are not authenticated to perform this operation."}`),
		CaseDead:       jsonAnswer(401, `{"errorCode":"INVALID_OAUTH","message":"The OAuth Token you provided is invalid."}`),
		CaseScope:      jsonAnswer(403, `{"errorCode":"SCOPE_MISMATCH","message":"The OAuth Token you provided does not have the scope to perform this operation."}`),
		CasePermission: jsonAnswer(403, `{"errorCode":"FORBIDDEN","message":"You do not have the permission to perform this operation."}`),
		CaseOrg:        jsonAnswer(403, `{"errorCode":"OAUTH_ORG_MISMATCH","message":"The OAuth Token you provided does not belong to this organization."}`),
		CaseLimit:      jsonAnswer(429, `{"errorCode":"TOO_MANY_REQUESTS","message":"You have exceeded the number of concurrent requests."}`),
		CaseOther:      jsonAnswer(403, `{"errorCode":"LICENSE_ACCESS_LIMITED","message":"Your license does not allow this operation."}`),
	},
	"creator": { // 1030 with and without a header; 401 with 1000 or 1060 is about a parameter, not the token
		CaseNoHeader:   jsonAnswer(401, `{"code":1030,"description":"Authorization Failure. The access token is either invalid or has expired."}`),
		CaseDead:       jsonAnswer(401, `{"code":1030,"description":"Authorization Failure. The access token is either invalid or has expired."}`),
		CaseScope:      jsonAnswer(401, `{"code":2945,"description":"INVALID_OAUTHSCOPE"}`), // by pattern
		CasePermission: jsonAnswer(403, `{"code":1060,"description":"This application is not shared with the user."}`),
		CaseLimit:      jsonAnswer(200, `{"code":4000,"description":"You have reached your API call limit for the day."}`),
		CaseOther:      jsonAnswer(401, `{"code":1000,"description":"The value of a parameter is not valid."}`),
	},
	"mail": {
		CaseNoHeader:   jsonAnswer(400, `{"data":{"errorCode":"INVALID_TICKET","moreInfo":"Invalid ticket"},"status":{"code":400,"description":"Invalid Input"}}`),
		CaseDead:       jsonAnswer(401, `{"data":{"errorCode":"INVALID_OAUTHTOKEN"},"status":{"code":401,"description":"Invalid Access"}}`),
		CaseScope:      jsonAnswer(401, `{"data":{"errorCode":"INVALID_OAUTHSCOPE"},"status":{"code":401,"description":"Invalid Access"}}`),
		CasePermission: jsonAnswer(403, `{"data":{"errorCode":"OPERATION_NOT_PERMITTED"},"status":{"code":403,"description":"Forbidden"}}`),
	},
	"calendar": { // scope and permission by pattern
		CaseNoHeader:   jsonAnswer(400, `{"error":[{"error_code":"INVALID_TICKET","description":"Invalid ticket."}]}`),
		CaseDead:       jsonAnswer(401, `{"error":[{"description":"Invalid OAuth token.","error_code":"INVALID_OAUTHTOKEN"}]}`),
		CaseScope:      jsonAnswer(401, `{"error":[{"description":"Invalid OAuth scope.","error_code":"INVALID_OAUTHSCOPE"}]}`),
		CasePermission: jsonAnswer(403, `{"error":[{"description":"Permission denied.","error_code":"PERMISSION_DENIED"}]}`),
	},
	"analytics": {
		CaseNoHeader:   jsonAnswer(400, `{"status":"failure","summary":"INVALID_TICKET","data":{"errorCode":8518,"errorMessage":"Invalid ticket"}}`),
		CaseDead:       jsonAnswer(401, `{"status":"failure","summary":"INVALID_OAUTHTOKEN","data":{"errorCode":8535,"errorMessage":"Invalid OAuth token"}}`),
		CaseScope:      jsonAnswer(401, `{"status":"failure","summary":"INVALID_OAUTHSCOPE","data":{"errorCode":8540,"errorMessage":"Invalid OAuth scope"}}`),
		CasePermission: jsonAnswer(403, `{"status":"failure","summary":"PERMISSION_DENIED","data":{"errorCode":7301,"errorMessage":"You do not have permission to do this operation"}}`),
		CaseOther:      jsonAnswer(403, `{"status":"failure","summary":"ACCESS_DENIED","data":{"errorCode":8023,"errorMessage":"Access denied"}}`),
	},
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
	"other": { // products of which no refusal is known, and the cases that refusals leave out
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
	family, refusalCase string
	answer              Answer
}

var variants = map[string]variant{
	"throttle-200":     {}, // Access Denied comes with 200 instead of 400
	"books-old-text":   {"books", CaseNoHeader, jsonAnswer(401, `{"code":14,"message":"Invalid value passed for authtoken"}`)},
	"cliq-scope-403":   {"cliq", CaseScope, jsonAnswer(403, `{"code":"oauthtoken_scope_invalid","message":"Request was rejected because of invalid AuthToken Scope."}`)},
	"desk-html":        {"desk", CasePermission, Answer{Status: 401, ContentType: typeHTML, Body: "<html><head><title>Error</title></head><body><h1>Unauthorized</h1></body></html>"}},
	"people-200":       {"people", CaseDead, jsonAnswer(200, refusals["people"][CaseDead].Body)},
	"people-400":       {"people", CaseDead, jsonAnswer(400, refusals["people"][CaseDead].Body)},
	"projects-403":     {"projects", CaseScope, jsonAnswer(403, `{"error":{"status_code":"403","title":"INVALID_OAUTHSCOPE","details":[{"message":"Invalid OAuth scope."}]}}`)},
	"projects-v1-400":  {"projects-v1", CaseDead, jsonAnswer(400, refusals["projects-v1"][CaseDead].Body)},
	"projects-200":     {"projects", CaseLimit, jsonAnswer(200, refusals["projects"][CaseLimit].Body)},
	"salesiq-400":      {"salesiq", CaseDead, jsonAnswer(400, `{"error":{"code":1001,"message":"Unknown authentication error, Contact SalesIQ Team!"}}`)},
	"workdrive-f7004":  {"workdrive", CaseScope, Answer{Status: 401, ContentType: typeJSONAPI, Body: `{"errors":[{"id":"F7004","title":"Invalid OAuth scope."}]}`}},
	"workdrive-header": {"workdrive", CaseDead, Answer{Status: 401, ContentType: typeJSONAPI, Body: refusals["workdrive"][CaseDead].Body, Header: map[string]string{"WWW-Authenticate": `Bearer error="expired_token"`}}},
}
