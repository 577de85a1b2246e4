package doctor

import (
	"github.com/caddy-zoho/caddy-zoho/internal/adminapi"
)

// examineNotify looks at where notifications go, and whether the last one was taken.
func (s *Subject) examineNotify() (found adminapi.Findings) {
	to, err := s.Notify.Resolve()
	switch failed := s.Notices.Failure(s.Notify); {
	case err != nil:
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckNotify,
			Result: adminapi.ResultFailed,
			What:   "notify leads nowhere",
			Why:    err.Error(),
			Do:     "correct that, or nobody is told",
		})
	case to == nil:
	case failed != nil:
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckNotify,
			Result: adminapi.ResultFailed,
			What:   "the last notification was not taken by " + to.Host,
			Why:    failed.Error(),
			Do:     "see whether that address is right and answers 200 to a POST",
		})
	default:
		found.Add(adminapi.Finding{
			Check:  adminapi.CheckNotify,
			Result: adminapi.ResultOK,
			What:   "notifications go to " + to.Host,
		})
	}
	return found
}
