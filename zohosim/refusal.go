package zohosim

import "maps"

// Answer is a refusal as it leaves.
type Answer struct {
	Status      int               `json:"status"`
	ContentType string            `json:"content_type"`
	Body        string            `json:"body"`
	Header      map[string]string `json:"header,omitempty"` // further header fields
}

// The cases of refusal. Every service has an answer for each.
const (
	CaseNoHeader   = "no-header"  // no Authorization header, or none that is an OAuth token
	CaseDead       = "dead"       // unknown, expired, revoked or evicted token, or another data center's
	CaseScope      = "scope"      // the grant lacks the scope
	CasePermission = "permission" // the user may not
	CaseOrg        = "org"        // the token is another organization's
	CaseLimit      = "limit"      // too many requests
	CaseOther      = "other"      // looks like a token's failure and is none, where the service has such a thing
)

const (
	typeJSON    = "application/json;charset=UTF-8"
	typeJSONAPI = "application/vnd.api+json;charset=UTF-8"
	typeHTML    = "text/html;charset=UTF-8"
)

func jsonAnswer(status int, body string) Answer {
	return Answer{Status: status, ContentType: typeJSON, Body: body}
}

// rows are the refusals by product family: what Zoho was measured or documented to answer, completed
// by the family's pattern where nothing is established (marked "by pattern").
var rows = map[string]map[string]Answer{
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
}

// Refusal gives the answer of a service, or of one of its rows ("projects-v1"), in a case; variants
// and Options.Answers count. The zero Answer means that there is no such service or case.
func (s *Server) Refusal(service, refusalCase string) Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := service
	if p := productByName(service); p != nil {
		row = p.row
	}
	return s.answerLocked(service, row, refusalCase)
}

// answerLocked looks for an answer of the user's own, then the variants, the row, and the row "other".
func (s *Server) answerLocked(service, row, refusalCase string) Answer {
	for _, key := range []string{service + "/" + refusalCase, row + "/" + refusalCase} {
		if a, ok := s.o.Answers[key]; ok {
			return a
		}
	}
	for _, name := range s.o.Variants {
		if v := variants[name]; v.row == row && v.refusalCase == refusalCase {
			return v.answer
		}
	}
	if a, ok := rows[row][refusalCase]; ok {
		return a
	}
	if rows[row] == nil {
		return Answer{}
	}
	return rows["other"][refusalCase]
}

// SetAnswer replaces an answer, as Options.Answers does.
func (s *Server) SetAnswer(service, refusalCase string, a Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answers := maps.Clone(s.o.Answers)
	if answers == nil {
		answers = map[string]Answer{}
	}
	answers[service+"/"+refusalCase] = a
	s.o.Answers = answers
}
