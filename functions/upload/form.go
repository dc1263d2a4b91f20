package upload

import (
	"errors"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"slices"
	"strings"

	"github.com/opengundumstyle/audio-alchemist/shared/fail"
	"github.com/opengundumstyle/audio-alchemist/shared/options"
)

const (
	maxFields = 100      // parts of a form that are not the file
	maxHeader = 16 << 10 // bytes that are read for the header of a part, with its boundary
)

// errLongHeader ends the reading of a form. Package multipart alone would take
// a header of 10 MiB, and keep it as long as its part is read.
var errLongHeader = fail.New(fail.Invalid, "A part of the form has a header of more than %d bytes.", maxHeader)

// formFile reads the one file of a multipart form as it arrives. It ends
// with io.EOF only after the rest of the form was read too and held no second
// file and no bad option, so that whoever stores it knows by then that all is
// well.
type formFile struct {
	name    string          // as the client sent it
	options options.Options // of the whole form; there after io.EOF

	body   *headed
	form   *multipart.Reader
	part   *multipart.Part
	read   int64
	limit  int64 // most bytes of the file
	fields int
	asked  map[string]string // the options so far, by the names of their fields
	err    error             // what ended the reading, for every later Read
}

// openForm finds the file of a form (RFC 7578): the first part with a file
// name. fail.Invalid where the body is no form or has no file, or an option
// before the file is bad.
func openForm(body io.Reader, contentType string, limit int64) (*formFile, error) {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != "multipart/form-data" || params["boundary"] == "" {
		return nil, fail.New(fail.Invalid, "Send the file as multipart/form-data.")
	}
	f := &formFile{body: &headed{from: body}, limit: limit, asked: map[string]string{}}
	f.form = multipart.NewReader(f.body, params["boundary"])
	f.part, f.name, err = f.nextFile()
	if errors.Is(err, io.EOF) {
		return nil, fail.New(fail.Invalid, "The form has no file; send exactly one.")
	}
	return f, err
}

// nextFile goes to the next part with a file name and takes the options on its
// way; io.EOF at the form's end.
func (f *formFile) nextFile() (*multipart.Part, string, error) {
	for {
		// The part before was read to its end. What package multipart has read
		// ahead there, up to 4 KiB, is not counted.
		f.body.left = maxHeader
		part, err := f.form.NextRawPart()
		long := f.body.left == 0
		f.body.left = math.MaxInt64
		switch {
		case errors.Is(err, io.EOF):
			return nil, "", io.EOF
		case err != nil && long: // it may be about a line that was cut off
			return nil, "", errLongHeader
		case err != nil:
			return nil, "", cutOff(err)
		}
		field, file, err := namesOf(part)
		if err != nil {
			return nil, "", cutOff(err)
		}
		if file != "" {
			return part, file, nil
		}
		if f.fields++; f.fields > maxFields {
			return nil, "", tooMuch()
		}
		if slices.Contains(options.Names(), field) {
			err = f.ask(field, part)
		} else {
			err = skip(part)
		}
		if err != nil {
			return nil, "", err
		}
	}
}

// ask takes an option, and refuses what no further field can make right.
func (f *formFile) ask(field string, part io.Reader) error {
	if _, twice := f.asked[field]; twice {
		return fail.New(fail.Invalid, "The form has the field %s more than once; send it once.", field)
	}
	value, err := io.ReadAll(io.LimitReader(part, options.MaxValue+1))
	if err != nil {
		return cutOff(err)
	}
	f.asked[field] = string(value)
	return options.Check(f.asked)
}

// skip passes over a field that is no option.
func skip(part io.Reader) error {
	n, err := io.CopyN(io.Discard, part, overhead)
	if n == overhead {
		return tooMuch()
	}
	if !errors.Is(err, io.EOF) {
		return cutOff(err)
	}
	return nil
}

func tooMuch() error {
	return fail.New(fail.Invalid, "The form has more fields than are taken.")
}

// namesOf returns the name of a part's field and the whole name of its file,
// empty for a part that is no file; part.FileName would drop what it takes for
// folders. Browsers write a quotation mark as %22.
func namesOf(part *multipart.Part) (field, file string, err error) {
	_, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	return params["name"], strings.ReplaceAll(params["filename"], "%22", `"`), err
}

// Read implements io.Reader.
func (f *formFile) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	n, err := f.part.Read(p)
	if f.read += int64(n); f.read > f.limit {
		f.err = tooLarge(f.limit)
		return 0, f.err
	}
	if err != nil {
		f.err = f.end(err)
	}
	if n > 0 {
		return n, nil // the end shows at the next Read
	}
	return 0, f.err
}

// end is called at the end of the file: it decides whether the whole form is
// as it should be.
func (f *formFile) end(err error) error {
	if !errors.Is(err, io.EOF) {
		return cutOff(err)
	}
	if f.read == 0 {
		return fail.New(fail.Invalid, "The file is empty.")
	}
	if _, _, err = f.nextFile(); err == nil {
		return fail.New(fail.Invalid, "The form has more than one file; send exactly one.")
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	if f.options, err = options.Parse(f.asked); err != nil {
		return err
	}
	return io.EOF
}

// headed is the body of a form, of which no more than left bytes are read: then
// errLongHeader.
type headed struct {
	from io.Reader
	left int64
}

// Read implements io.Reader.
func (h *headed) Read(p []byte) (int, error) {
	if h.left <= 0 {
		return 0, errLongHeader
	}
	n, err := h.from.Read(p[:min(int64(len(p)), h.left)])
	h.left -= int64(n)
	return n, err
}

func cutOff(err error) error {
	// The text of err may repeat what the client sent, its file name too.
	return fail.Wrap(fail.Invalid, fail.New(fail.Invalid, "The upload was cut off or is no valid form."), "read form: %T", err)
}
