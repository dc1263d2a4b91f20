package upload

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestTheHeaderOfAPartIsBounded(t *testing.T) {
	part := func(disposition string, header int) string {
		return "--B\r\nContent-Disposition: form-data; " + disposition + "\r\nX-Long: " + strings.Repeat("x", header) + "\r\n\r\nx\r\n"
	}
	note, file := part(`name="note"`, 15<<10), part(`name="f"; filename="a"`, 15<<10)
	for name, tt := range map[string]struct {
		body   string
		refuse bool
	}{
		"each just short enough":         {strings.Repeat(note, 3) + file + note, false},
		"a file's too long":              {note + part(`name="f"; filename="a"`, 9<<20), true},
		"a field's before the file":      {part(`name="note"`, 9<<20), true},
		"one that begins after the file": {file + part(`name="note"`, 9<<20), true},
		"many lines":                     {"--B\r\n" + strings.Repeat("X: y\r\n", 1<<20), true},
	} {
		t.Run(name, func(t *testing.T) {
			whole := tt.body + "--B--\r\n"
			body := strings.NewReader(whole)
			f, err := openForm(bufio.NewReaderSize(body, readAhead), "multipart/form-data; boundary=B", 1<<20)
			if err == nil {
				_, err = io.Copy(io.Discard, f)
			}
			if !tt.refuse {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if read := body.Size() - int64(body.Len()); read > 2*maxHeader+readAhead || !errors.Is(err, errLongHeader) {
				t.Errorf("read %d bytes, %v", read, err)
			}
			w := start(t, nil)
			resp := w.post(t, "multipart/form-data; boundary=B", io.MultiReader(strings.NewReader(whole))) // hides the length
			if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != 400 || !strings.Contains(string(answer), "header of more than 16384 bytes") {
				t.Errorf("%d %s", resp.StatusCode, answer)
			}
			if blobs, jobs := w.left(t); blobs != 0 || jobs != 0 {
				t.Errorf("left: %d blobs, %d jobs", blobs, jobs)
			}
		})
	}
}
