package ledger

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/test/servers"
)

func TestOriginalUsersComeInPages(t *testing.T) {
	address := servers.MySQL(t)
	config, _, err := mysqlConfig(address)
	if err != nil {
		t.Fatal(err)
	}
	pool := must(mysqlPool(config, 1))
	defer func() { _ = pool.Close() }()
	const n = 2*originalPage + 1
	values := make([]string, n)
	for i := range values {
		values[i] = fmt.Sprintf("(%d, 'u%d@example.org', 'p')", 2*i-10, i) // with gaps, from below 0
	}
	values[3], values[4] = "(-4, NULL, 'p')", "(-2, 'nobody@example.org', NULL)"
	for _, statement := range []string{
		"CREATE TABLE `user` (id INT NOT NULL PRIMARY KEY, email VARCHAR(255), password VARCHAR(255))",
		"INSERT INTO `user` VALUES " + strings.Join(values, ", "),
	} {
		if _, err := pool.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}

	var pages []int
	var all []OriginalUser
	err = OriginalUsers(t.Context(), address, func(page []OriginalUser) error {
		pages, all = append(pages, len(page)), append(all, page...)
		return nil
	})
	if err != nil || len(all) != n || fmt.Sprint(pages) != fmt.Sprint([]int{originalPage, originalPage, 1}) {
		t.Fatalf("%d rows in pages of %v, %v; want %d", len(all), pages, err, n)
	}
	for i, u := range all {
		if u.ID != int64(2*i-10) {
			t.Fatalf("row %d has id %d", i, u.ID)
		}
	}
	if all[3] != (OriginalUser{ID: -4, Password: "p"}) || all[4] != (OriginalUser{ID: -2, Email: "nobody@example.org"}) {
		t.Errorf("NULL is read as %+v and %+v", all[3], all[4])
	}

	enough := errors.New("enough")
	if err := OriginalUsers(t.Context(), address, func([]OriginalUser) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("%v, want what take returned", err)
	}
}

func TestOriginalUsersNeedATable(t *testing.T) {
	none := func([]OriginalUser) error { return nil }
	wantKind(t, OriginalUsers(t.Context(), servers.MySQL(t), none), fail.Unavailable)
	wantKind(t, OriginalUsers(t.Context(), "sqlite:x", none), fail.Invalid)
}
