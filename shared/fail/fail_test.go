package fail

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"
)

func TestDetailNeverShowsCauses(t *testing.T) {
	tests := map[string]struct {
		err  error
		kind Kind
		want string
	}{
		"made by New":          {New(Invalid, "no file in the form"), Invalid, "no file in the form"},
		"made by Wrap":         {Wrap(Unavailable, errors.New("dial tcp 10.0.0.1: refused"), "open ledger"), Unavailable, general[Unavailable]},
		"New inside Wrap":      {Wrap(NotFound, New(NotFound, "no such job"), "read job 7"), NotFound, "no such job"},
		"another kind inside":  {Wrap(Unavailable, New(Invalid, "bad row"), "read job 7"), Unavailable, general[Unavailable]},
		"plain error":          {io.ErrUnexpectedEOF, Internal, general[Internal]},
		"internal made by New": {New(Internal, "nil map in planner"), Internal, general[Internal]},
		"through fmt.Errorf":   {fmt.Errorf("upload: %w", New(TooLarge, "over 2 GiB")), TooLarge, "over 2 GiB"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := KindOf(tt.err); got != tt.kind {
				t.Errorf("KindOf = %v, want %v", got, tt.kind)
			}
			if got := Detail(tt.err); got != tt.want {
				t.Errorf("Detail = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestWrapOfNilIsNil(t *testing.T) {
	if err := Wrap(Unavailable, nil, "open"); err != nil {
		t.Fatalf("Wrap(nil) = %v", err)
	}
	if Is(nil, Internal) {
		t.Fatal("Is(nil, Internal) is true")
	}
}

func TestRetryAfterIsFoundInTheChain(t *testing.T) {
	err := Wrap(RateLimited, Later(RateLimited, 90*time.Second, "too many failures"), "log in")
	if got := RetryAfter(err); got != 90*time.Second {
		t.Fatalf("RetryAfter = %v, want 90s", got)
	}
	if got := RetryAfter(io.EOF); got != 0 {
		t.Fatalf("RetryAfter of a plain error = %v, want 0", got)
	}
}

func TestEveryKindHasANameAndASentence(t *testing.T) {
	for k := Internal; k <= Unavailable; k++ {
		if k.String() == "unknown" || general[k] == "" {
			t.Errorf("kind %d: name %q, sentence %q", k, k, general[k])
		}
	}
}
