package login

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// as returns the Authorization header of somebody who logs in.
func (w *world) as(t *testing.T, email, password string) string {
	t.Helper()
	r := login(t, w.url, email, password, here)
	if r.status != http.StatusOK {
		t.Fatalf("login: %+v", r)
	}
	return "Bearer " + r.body
}

// api sends JSON with a token.
func (w *world) api(t *testing.T, auth, method, path, body string) reply {
	t.Helper()
	return do(t, method, w.url+path, body, "Authorization", auth, "Content-Type", asJSON)
}

func read[T any](t *testing.T, r reply, status int) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(r.body), &v); err != nil || r.status != status {
		t.Fatalf("answer %+v, want %d: %v", r, status, err)
	}
	return v
}

func TestAdministratorsMakeAccounts(t *testing.T) {
	w := start(t, nil)
	anna := w.as(t, email, password)
	ben := read[member](t, w.api(t, anna, "POST", "/users", `{"email":" Ben@example.org ","password":"pass wörd"}`), 201)
	if ben.Email != "ben@example.org" || ben.Admin || ben.Disabled || ben.Password != "" {
		t.Errorf("made %+v", ben)
	}
	w.as(t, "ben@example.org", "pass wörd")
	eva := read[member](t, w.api(t, anna, "POST", "/users", `{"email":"eva@example.org","admin":true}`), 201)
	if !eva.Admin || len(eva.Password) < 20 {
		t.Errorf("made %+v", eva)
	}
	w.as(t, "eva@example.org", eva.Password)

	var got []string
	for next := "/users?limit=2"; next != ""; {
		p := read[members](t, w.api(t, anna, "GET", next, ""), 200)
		next = ""
		if p.Next != nil {
			next = *p.Next
		}
		for _, u := range p.Users {
			got = append(got, u.Email)
			if u.Password != "" {
				t.Errorf("the password of %s is listed", u.Email)
			}
		}
	}
	if strings.Join(got, " ") != "anna@example.org ben@example.org eva@example.org" {
		t.Errorf("listed %v", got)
	}
	one := read[members](t, w.api(t, anna, "GET", "/users?email=BEN@example.org", ""), 200)
	if len(one.Users) != 1 || one.Users[0].ID != ben.ID {
		t.Errorf("by address %+v", one)
	}
	if none := read[members](t, w.api(t, anna, "GET", "/users?email=nobody@example.org", ""), 200); len(none.Users) != 0 {
		t.Errorf("nobody is %+v", none)
	}
	if log := w.log.String(); strings.Contains(log, "@example.org") || strings.Contains(log, eva.Password) {
		t.Errorf("the log has an address or a password:\n%s", log)
	}
}

func TestADisabledAccountCannotLogIn(t *testing.T) {
	w := start(t, nil)
	anna := w.as(t, email, password)
	w.add(t, "ben@example.org", false)
	before := w.as(t, "ben@example.org", password)
	read[member](t, w.api(t, anna, "PATCH", "/users/Ben@example.org", `{"disabled":true}`), 200)
	checkProblem(t, login(t, w.url, "ben@example.org", password, here), http.StatusForbidden)
	checkProblem(t, login(t, w.url, "ben@example.org", "wrong horse", here), http.StatusUnauthorized)
	if r := do(t, http.MethodPost, w.url+"/validate", "", "Authorization", before); r.status != http.StatusOK {
		t.Errorf("the token from before: %+v", r)
	}
	read[member](t, w.api(t, anna, "PATCH", "/users/ben@example.org", `{"disabled":false}`), 200)
	w.as(t, "ben@example.org", password)
}

func TestAnAdministratorWhoIsNoneAnyMoreChangesNoAccount(t *testing.T) {
	w := start(t, nil)
	anna := w.as(t, email, password)
	eva := w.add(t, "eva@example.org", true)
	with := w.as(t, "eva@example.org", password)
	for name, change := range map[string]string{"demoted": `{"admin":false}`, "disabled": `{"admin":true,"disabled":true}`} {
		read[member](t, w.api(t, anna, "PATCH", "/users/"+eva.ID, change), 200)
		if r := w.api(t, with, "PATCH", "/users/"+eva.ID, `{"admin":true,"disabled":false}`); r.status != http.StatusForbidden {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestAPasswordIsSet(t *testing.T) {
	w := start(t, nil)
	anna := w.as(t, email, password)
	ben := w.add(t, "ben@example.org", false)
	read[member](t, w.api(t, anna, "PUT", "/users/"+ben.ID+"/password", `{"password":"another one"}`), 200)
	checkProblem(t, login(t, w.url, "ben@example.org", password, here), http.StatusUnauthorized)
	w.as(t, "ben@example.org", "another one")
	made := read[member](t, w.api(t, anna, "PUT", "/users/ben@example.org/password", `{}`), 200)
	w.as(t, "ben@example.org", made.Password)
}

func TestAdministrationRefuses(t *testing.T) {
	w := start(t, nil)
	ben := w.add(t, "ben@example.org", false)
	anna, other := w.as(t, email, password), w.as(t, "ben@example.org", password)
	tests := map[string]struct {
		auth, method, path, body string
		status                   int
	}{
		"list without a token":      {"", "GET", "/users", "", 401},
		"list by somebody else":     {other, "GET", "/users", "", 403},
		"add by somebody else":      {other, "POST", "/users", `{"email":"x@example.org"}`, 403},
		"change by oneself":         {other, "PATCH", "/users/" + ben.ID, `{"admin":true}`, 403},
		"password by somebody else": {other, "PUT", "/users/" + w.anna.ID + "/password", `{}`, 403},
		"address taken":             {anna, "POST", "/users", `{"email":"BEN@example.org"}`, 409},
		"bad address":               {anna, "POST", "/users", `{"email":"ben"}`, 400},
		"short password":            {anna, "POST", "/users", `{"email":"x@example.org","password":"short"}`, 400},
		"unknown field":             {anna, "POST", "/users", `{"email":"x@example.org","disabled":true}`, 400},
		"two documents":             {anna, "POST", "/users", `{"email":"x@example.org"}{}`, 400},
		"nothing to change":         {anna, "PATCH", "/users/" + ben.ID, `{}`, 400},
		"change of nobody":          {anna, "PATCH", "/users/nobody@example.org", `{"admin":true}`, 404},
		"the last is demoted":       {anna, "PATCH", "/users/" + w.anna.ID, `{"admin":false}`, 409},
		"the last is disabled":      {anna, "PATCH", "/users/" + email, `{"disabled":true}`, 409},
		"password of nobody":        {anna, "PUT", "/users/nobody@example.org/password", `{}`, 404},
		"a short new password":      {anna, "PUT", "/users/" + ben.ID + "/password", `{"password":"short"}`, 400},
		"limit of 0":                {anna, "GET", "/users?limit=0", "", 400},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			checkProblem(t, w.api(t, tt.auth, tt.method, tt.path, tt.body), tt.status)
		})
	}
	if all, err := w.Ledger.Users(t.Context(), "", 10); err != nil || len(all) != 2 || all[0] != w.anna || all[1] != ben {
		t.Errorf("accounts %+v, %v", all, err)
	}
}
