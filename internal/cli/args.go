package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/caddy-zoho/caddy-zoho/internal/words"
	"github.com/caddy-zoho/caddy-zoho/zoho"
)

// checkArgs looks at the arguments before anything is asked for or read.
func checkArgs(cmd *cobra.Command, args []string, minArgs, maxArgs int) error {
	names := []string{"CLIENT", "ACCOUNT"}[max(0, 2-len(args)):] // of the arguments; one alone is an account at least
	switch {
	case slices.ContainsFunc(os.Args[1:], tokenLike.MatchString):
		return errSecretArgument
	case maxArgs < 0:
		return nil
	case len(args) < minArgs:
		return usage(cmd, "ACCOUNT is missing")
	case len(args) > maxArgs && maxArgs == 0:
		return usage(cmd, "it takes no arguments")
	case len(args) > maxArgs && slices.Contains([]string{"connect", "import"}, cmd.Name()):
		return usage(cmd, fmt.Sprintf("%d arguments are too many, it takes at most %d: "+
			"a token or code comes from standard input, other users of this machine see arguments", len(args), maxArgs))
	case len(args) > maxArgs:
		return usage(cmd, fmt.Sprintf("%d arguments are too many, it takes at most %d", len(args), maxArgs))
	}
	if i := slices.Index(args, ""); i >= 0 {
		return usage(cmd, names[i]+" is empty")
	}
	if len(args) == 2 {
		return checkAccount("ACCOUNT", args[1])
	}
	return nil
}

// checkAccount does not show what it does not take: it may be a secret.
func checkAccount(what, name string) error {
	if !words.Name.MatchString(name) {
		return errors.New(what + " is no name for an account: " + words.NameRule)
	}
	return nil
}

// checkCenter looks at --data-center; whether the client has that one is for Caddy to say.
func checkCenter(cmd *cobra.Command) error {
	code := zoho.NormalCode(stringFlag(cmd, "data-center"))
	if _, known := zoho.LookupDataCenter(code); !known && code != "" && code != customCenter {
		return zoho.UnknownDataCenter(code)
	}
	return nil
}

// customCenter is the code of a data center that is given by URLs.
const customCenter = "custom"

func usage(cmd *cobra.Command, text string) error {
	return fmt.Errorf("%s\nusage: %s", text, cmd.UseLine())
}

var errSecretArgument = errors.New("an argument is a token or a code: other users of this machine see arguments, " +
	"and shells remember them\n" +
	"hint: give it by standard input, and revoke it if others may have seen it")

// tokenLike is what Zoho's tokens and codes look like: unmistakable where they are long,
// otherwise where nothing else stands beside them, since an account may be called alike.
var tokenLike = regexp.MustCompile(`10\d\d\.[0-9A-Za-z]{16,}\.[0-9A-Za-z]{16,}|` +
	`(^(-+[a-z]?)?|[^0-9A-Za-z._@/-])100\d\.[0-9A-Za-z]+\.[0-9A-Za-z]+($|[^0-9A-Za-z._@/-])`)

// secretFlag is how people call flags that there are not, for good reason.
var secretFlag = regexp.MustCompile(`^-+(self-client=|(\w+[-_])*(token|code|secret|password|grant)\b)`)

// checkFlags says what is wrong with the flags. What was given as a value is not shown.
func checkFlags(cmd *cobra.Command, err error) error {
	isSecret := func(arg string) bool { return tokenLike.MatchString(arg) || secretFlag.MatchString(arg) }
	if slices.ContainsFunc(os.Args[1:], isSecret) {
		return errSecretArgument
	}
	text := err.Error()
	var value interface{ GetValue() string }
	if errors.As(err, &value) {
		_, text, _ = strings.Cut(strings.ReplaceAll(text, strconv.Quote(value.GetValue()), ""), " for ")
		text, _, _ = strings.Cut(text, " flag: ")
		text += " does not take this value"
	}
	text, _, _ = strings.Cut(text, " in -") // behind it stands what may be a value
	text, _, _ = strings.Cut(text, "syntax: ")
	return usage(cmd, text+meantFlag(cmd, err))
}

// argumentName is how the usage of a command writes its arguments.
var argumentName = regexp.MustCompile(`[A-Z]{2,}`)

// meantFlag proposes the flag that a mistyped one was probably meant to be, or the
// argument, where a command has no flag for it.
func meantFlag(cmd *cobra.Command, err error) string {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return ""
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	// A word behind a single dash is read as letters.
	word, _, _ := strings.Cut(cmp.Or(unknown.GetSpecifiedShortnames(), unknown.GetSpecifiedName()), "=")
	return words.DidYouMean(word, append(names, argumentName.FindAllString(cmd.Use, -1)...))
}

func boolFlag(cmd *cobra.Command, name string) bool {
	value, _ := cmd.Flags().GetBool(name)
	return value
}

func stringFlag(cmd *cobra.Command, name string) string {
	value, _ := cmd.Flags().GetString(name)
	return value
}
