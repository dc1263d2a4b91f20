package media

import "strings"

// kind is a kind of file that is taken, known by its content. Each has one
// demuxer, and no other is ever asked.
//
// A demuxer is on the list if it opens nothing but what it is given, and reads
// something that people have. Text is none of them: HLS, DASH, concat, SDP,
// subtitles, and patterns of image files name what else to open.
type kind struct {
	demuxer    string   // of libavformat
	magic      []string // how its files begin; see matches
	sequential bool     // ffmpeg reads it front to back, without looking at an index
	tagged     bool     // there may be an ID3 tag before it
	unsure     bool     // it was told by very little
}

var (
	movie = kind{demuxer: "mov"}
	oma   = kind{demuxer: "oma"} // whose tag is like that of ID3
)

var kinds = []kind{
	{demuxer: "matroska", sequential: true, magic: []string{"\x1A\x45\xDF\xA3"}},
	{demuxer: "avi", sequential: true, magic: []string{"RIFF????AVI ", "RIFF????AVIX", "RIFF????AMV ", "RIFF????AVI\x19", "ON2 ????ON2f"}},
	{demuxer: "flv", sequential: true, magic: []string{"FLV\x01"}},
	{demuxer: "asf", sequential: true, magic: []string{"\x30\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9\x00\xAA\x00\x62\xCE\x6C"}},
	{demuxer: "mpeg", sequential: true, magic: []string{"\x00\x00\x01\xBA"}},
	{demuxer: "ogg", sequential: true, tagged: true, magic: []string{"OggS\x00"}},
	{demuxer: "wav", sequential: true, tagged: true, magic: []string{"RIFF????WAVE", "RF64????WAVE", "BW64????WAVE"}},
	{demuxer: "w64", sequential: true, magic: []string{"riff\x2E\x91\xCF\x11\xA5\xD6\x28\xDB\x04\xC1\x00\x00"}},
	{demuxer: "flac", sequential: true, tagged: true, magic: []string{"fLaC"}},
	{demuxer: "au", sequential: true, magic: []string{".snd"}},
	{demuxer: "amr", sequential: true, magic: []string{"#!AMR\n", "#!AMR-WB\n"}},
	{demuxer: "nut", sequential: true, magic: []string{"nut/multimedia container\x00"}},
	{demuxer: "aiff", sequential: true, magic: []string{"FORM????AIFFCOMM", "FORM????AIFCFVER", "FORM????AIFCCOMM"}},
	{demuxer: "aiff", tagged: true, magic: []string{"FORM????AIFF", "FORM????AIFC"}}, // the format may come after the sound
	{demuxer: "caf", magic: []string{"caff\x00\x01"}},
	{demuxer: "mxf", magic: []string{mxfPartition}},
	{demuxer: "gxf", magic: []string{"\x00\x00\x00\x00\x01\xBC????????\xE1\xE2"}},
	{demuxer: "rm", magic: []string{".RMF\x00\x00", ".ra\xFD\x00"}},
	{demuxer: "wtv", magic: []string{"\xB7\xD8\x00\x20\x37\x49\xDA\x11\xA6\x4E\x00\x07\xE9\x5E\xAD\x8D"}},
	{demuxer: "dv", magic: []string{"\x1F\x07\x00?" + strings.Repeat("?", 76) + "\x3F\x07\x00"}}, // two DIF blocks: header, subcode
	{demuxer: "truehd", magic: []string{"????\xF8\x72\x6F\xBA"}},
	{demuxer: "mlp", magic: []string{"????\xF8\x72\x6F\xBB"}},
	{demuxer: "dtshd", magic: []string{"DTSHDHDR"}},
	{demuxer: "dts", magic: []string{"\x7F\xFE\x80\x01", "\xFE\x7F\x01\x80", "\x1F\xFF\xE8\x00", "\xFF\x1F\x00\xE8"}},
	{demuxer: "wv", tagged: true, magic: []string{"wvpk"}},
	{demuxer: "tta", tagged: true, magic: []string{"TTA1", "TTA2"}},
	{demuxer: "ape", tagged: true, magic: []string{"MAC "}},
	{demuxer: "tak", tagged: true, magic: []string{"tBaK"}},
	{demuxer: "mpc", tagged: true, magic: []string{"MP+"}},
	{demuxer: "mpc8", tagged: true, magic: []string{"MPCK"}},
	{demuxer: "voc", magic: []string{"Creative Voice File\x1A"}},
	{demuxer: "dsf", magic: []string{"DSD \x1C\x00\x00\x00\x00\x00\x00\x00"}},
	{demuxer: "sox", magic: []string{".SoX", "XoS."}},
	{demuxer: "oma", magic: []string{"EA3\x01\x00\x60"}},
}

// mxfPartition is the key of a header partition pack (SMPTE ST 377-1, 7.1).
const mxfPartition = "\x06\x0E\x2B\x34\x02\x05\x01\x01\x0D\x01\x02\x01\x01\x02"

// others are kinds of files that are not taken, of which an owner may want to
// know what is wrong with them.
var others = []struct {
	reason error
	magic  []string
}{
	{ErrArchive, []string{
		"PK\x03\x04", "PK\x05\x06", "Rar!\x1A\x07", "7z\xBC\xAF\x27\x1C", "\x1F\x8B\x08", "BZh", "\xFD7zXZ\x00", "\x28\xB5\x2F\xFD",
		strings.Repeat("?", 257) + "ustar",
	}},
	{ErrPicture, []string{"\x89PNG\r\n\x1A\n", "\xFF\xD8\xFF", "GIF8", "II*\x00", "MM\x00*", "RIFF????WEBP", "8BPS\x00\x01"}},
	{ErrPlaylist, []string{"rtsptext"}},
}

// pictureBrands are those of HEIF and AVIF, which look like an mp4.
var pictureBrands = []string{"heic", "heix", "heim", "heis", "mif1", "avif", "crx "}

// playlists are how text begins that names other files, in small letters.
var playlists = []string{"#extm3u", "#extinf", "ffconcat", "[playlist]", "[reference]", "<asx", "v=0\r\n", "v=0\n", "file '", "http://", "https://", "rtsp://", "mms://"}
