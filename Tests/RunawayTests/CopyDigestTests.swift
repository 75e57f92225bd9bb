// Which messages are copies of each other, whatever a mail program writes anew into each.

import MIME
import Mapping
import Model
import Testing

@testable import Runaway

@Suite("What makes a copy")
struct CopyDigestTests {
    private let vault = VaultID(high: 0, low: 1)

    private func digest(_ message: MappedMessage, recipient index: Int = 0) throws -> CopyDigest {
        let envelope = message.envelopes[index]
        let body: BodyDigest
        switch envelope.content.body {
        case .raw(let message):
            body = BodyDigest(
                message: message.bytes, from: HeaderSigns.read(message.bytes, hostname: []).bodyStart)
        case .blocks(let text, let html): body = BodyDigest(text: text, html: html)
        }
        return CopyDigest(of: envelope, body: body, in: vault)
    }

    /// A multipart message of three levels with boundaries of its own.
    private func multipart(_ words: [String], boundary: String, case name: String = "boundary") -> String {
        """
        This is a multi-part message in MIME format.
        --\(boundary)
        Content-Type: multipart/alternative;
         \(name)="\(boundary)-inner"

        --\(boundary)-inner
        Content-Type: text/plain; charset=utf-8

        \(words.joined(separator: " "))
        --\(boundary)-inner
        Content-Type: text/html; charset=utf-8

        <p>\(words.joined(separator: "<br>\n"))</p>
        --\(boundary)-inner--

        --\(boundary)
        Content-Type: application/pdf; name="a.pdf"
        Content-Transfer-Encoding: base64

        JVBERi0xLjQKJcfsj6IKNSAwIG9iago8PC9MZW5ndGggNiAwIFI+PgpzdHJlYW0K
        --\(boundary)--

        """
    }

    @Test("new dates, ids, trace fields and boundaries make no other message, a new word does")
    func property() throws {
        var dice = Dice(7)
        let vocabulary = ["gate", "mail", "boundary=", "--", "-", "agent", "é", "", "Date:", "x", "\n", ".", "=20"]
        for round in 0..<300 {
            let words = (0..<Int.random(in: 1...30, using: &dice)).map { _ in
                vocabulary.randomElement(using: &dice) ?? "word"
            }
            func copy(_ words: [String]) throws -> CopyDigest {
                let mark = dice.next()
                let name = ["boundary", "Boundary", "BOUNDARY"].randomElement(using: &dice) ?? "boundary"
                let letter = Letter { $0.text = multipart(words, boundary: "=_\(mark)", case: name) }
                let header = [
                    ("Received", "from a by b; \(mark)"), ("Date", "\(mark)"), ("Message-ID", "<\(mark)@example.com>"),
                    ("Content-Type", "multipart/mixed; \(name)=\"=_\(mark)\""), ("X-Trace", "\(mark)"),
                ]
                return try digest(try letter.raw(extra: header))
            }
            let first = try copy(words)
            #expect(try copy(words) == first, "round \(round)")
            var changed = words
            changed[Int.random(in: 0..<words.count, using: &dice)] += "s"
            #expect(try copy(changed) != first, "round \(round)")
        }
    }

    @Test("sender, recipient, subject, text, html and vault each make another message")
    func parts() throws {
        let letters: [Letter] = [
            Letter(), Letter { $0.from = "other@example.com" }, Letter { $0.recipients = ["jo@example.net"] },
            Letter { $0.subject = "Hallo" }, Letter { $0.text += "." },
            // Nothing moves from one part to the next.
            Letter {
                $0.subject = "HelloD"
                $0.text = String($0.text.dropFirst())
            },
        ]
        let digests = try letters.flatMap { [try digest($0.blocks()), try digest($0.raw())] }
        #expect(Set(digests).count == digests.count)
        #expect(try digest(Letter().blocks()) == digest(Letter().blocks()))
        #expect(BodyDigest(text: "a", html: ["b"]) != BodyDigest(text: "ab", html: []))
        #expect(BodyDigest(text: nil, html: ["a", "b"]) != BodyDigest(text: nil, html: ["ab"]))
        let envelope = try Letter().blocks().envelopes[0]
        let body = BodyDigest(text: "x", html: [])
        let neighbour = VaultID(high: 0, low: 2)
        #expect(CopyDigest(of: envelope, body: body, in: vault) != CopyDigest(of: envelope, body: body, in: neighbour))
    }

    @Test("the spelling of a domain and the envelope's sender make no other message")
    func spelling() throws {
        let plain = try digest(Letter { $0.recipients = ["jane@bücher.example"] }.blocks())
        #expect(try digest(Letter { $0.recipients = ["jane@XN--BCHER-KVA.example"] }.blocks()) == plain)
        #expect(
            try digest(
                Letter {
                    $0.recipients = ["jane@bücher.example"]
                    $0.sender = "bounces+1@example.com"
                }.blocks()) == plain)
    }

    @Test("a name is 32 hexadecimal digits, the first half of a SHA-256")
    func name() throws {
        for number in 0..<200 {
            let text = try digest(Letter { $0.subject = "\(number)" }.blocks()).text
            #expect(text.utf8.count == 32 && text.allSatisfy { $0.isHexDigit && !$0.isUppercase })
        }
    }

    @Test("a word of the text that looks like a boundary outside of a part's header counts")
    func looksLikeBoundary() throws {
        func digest(_ text: String) throws -> CopyDigest { try self.digest(Letter { $0.text = text }.raw()) }
        #expect(try digest("the boundary=a\n") != digest("the boundary=b\n"))
        #expect(try digest("- a\n") != digest("- b\n"))
        #expect(try digest("") != digest("a"))
        #expect(try digest("--a\n") != digest("--b\n"))
    }

    @Test("only the boundaries that the message names are left out, as RFC 2046 writes them")
    func boundaries() throws {
        func digest(_ text: String, _ name: String) throws -> CopyDigest {
            try self.digest(
                Letter { $0.text = text }.raw(extra: [("Content-Type", "multipart/mixed; \(name)")]))
        }
        let plain = try digest("x\n--b\n\ny\n--b--\nz\n", "boundary=b")
        #expect(try digest("x\n--c d\n\ny\n--c d-- \nz\n", "Boundary=\"c d\"") == plain)
        #expect(try digest("x\n--b\n\ny\n--b--\nz\n", "charset=x;\n boundary=b;a=c") == plain)
        for other in ["x\n--bb\n\ny\n--b--\nz\n", "x\n--\n\ny\n--b--\nz\n", "x\n--b\n\n--y\n--b--\nz\n"] {
            #expect(try digest(other, "boundary=b") != plain)
        }
        // No boundary at all, one that is too long, and more of them than are followed.
        for name in ["boundary=", "boundary=\"\"", "boundary=\(String(repeating: "b", count: 71))", "charset=b"] {
            #expect(try digest("--b\n", name) != digest("--c\n", name))
        }
        let many = (0..<40).map { "--b\nContent-Type: multipart/mixed; boundary=b\($0)\n\n--b\($0)\n" }.joined()
        #expect(try digest(many, "boundary=b") == digest(many, "boundary=b"))
    }

    @Test(
        "35 MiB are read once, whatever stands in them",
        arguments: [
            "aGVsbG8gd29ybGQgaGVsbG8gd29ybGQgaGVsbG8gd29ybGQgaGVsbG8gd29ybGQgaGVsbG8gd29y\r\n",
            "--b\r\nContent-Type: text/plain; boundary=x\r\n\r\n0123456789012345678901234567890123456789\r\n",
            "=boundar=boundar=boundar=boundar=boundar=boundar=boundar=boundar=boundar=boundar=boundar", "x",
            "--boundary-that-nobody-named\r\n",
        ])
    func large(pattern: String) throws {
        let size = 35 << 20
        let unit = Array(pattern.utf8)
        let header = "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        var bytes = Array("\(header)--b\r\n".utf8)
        bytes.reserveCapacity(size + unit.count)
        // Doubling is quick in a debug build too.
        var block = unit
        while block.count < size { block += block }
        bytes += block[..<size]
        let start = ContinuousClock.now
        let first = BodyDigest(message: bytes, from: header.utf8.count)
        let time = ContinuousClock.now - start
        // A fraction of a second is usual; quadratic work would take hours.
        #expect(time < .seconds(30), "\(time)")
        bytes[bytes.count - 3] ^= 1
        #expect(BodyDigest(message: bytes, from: header.utf8.count) != first)
    }
}
