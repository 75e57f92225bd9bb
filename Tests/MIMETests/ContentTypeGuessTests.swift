// What a file is taken for by its name.

import MIME
import Testing

@Suite("Content types by name")
struct ContentTypeGuessTests {
    @Test(
        "the content type of an attachment follows its name",
        arguments: [
            ("a.PDF", "application/pdf"), ("a.tar.gz", "application/gzip"), (".png", "application/octet-stream"),
            ("noext", "application/octet-stream"), ("a.", "application/octet-stream"), ("", "application/octet-stream"),
        ])
    func contentTypes(name: String, type: String) {
        #expect(ContentTypeGuess.type(of: name) == type)
    }
}
