// The one pass over a header: what it sees, what it must not take for something else, and what hostile bytes do to it.

import Model
import Testing

@testable import Runaway

@Suite("Signs in a header")
struct HeaderSignsTests {
    private func signs(_ text: String, isCRLF: Bool = true) -> (signs: HeaderSigns, body: String) {
        let bytes = isCRLF ? Letter.bytes(text) : Array(text.utf8)
        let (signs, bodyStart) = HeaderSigns.read(bytes, hostname: Array(hostname.utf8))
        return (signs, String(decoding: bytes[bodyStart...], as: UTF8.self))
    }

    @Test("names are known in any case, with obsolete white space, at every place")
    func names() {
        #expect(signs("AUTO-SUBMITTED \t: Auto-Replied\n\n").signs.isAutomaticReply)
        #expect(signs("Subject: x\nauto-submitted:auto-replied\nTo: y\n\n").signs.isAutomaticReply)
        #expect(signs("Subject: x\nauto-submitted:auto-replied").signs.isAutomaticReply)
        #expect(!signs("X-Auto-Submitted: auto-replied\n\n").signs.isAutomatic)
        #expect(!signs("Auto-Submitted-By: auto-replied\n\n").signs.isAutomatic)
        #expect(!signs("Auto-Submitted\n: auto-replied\n\n").signs.isAutomatic)
        #expect(!signs("Subject: a\n Auto-Submitted: auto-replied\n\n").signs.isAutomatic)
    }

    @Test("a value goes on behind folds, and ends where the next field begins")
    func folds() {
        #expect(signs("Auto-Submitted:\n auto-replied\n\n").signs.isAutomaticReply)
        #expect(signs("In-Reply-To:\n\t<1@a>\n\n").signs.mayBeAnswer)
        #expect(!signs("In-Reply-To:\n \nX: <1@a>\n\n").signs.mayBeAnswer)
        let own = "Received: from a ([192.0.2.1]) by\n mail.example.org\n\t(Postern) with HTTP id 1; x\n"
        #expect(signs(own + own + "\n").signs.ownReceived == 2)
        #expect(signs(own + own + "\n").signs.received == 2)
    }

    @Test("what stands in the body is no header", arguments: [true, false])
    func body(isCRLF: Bool) {
        let (signs, body) = signs("Subject: x\n\nAuto-Submitted: auto-replied\nReceived: by a\n", isCRLF: isCRLF)
        #expect(signs.areHarmless && signs.received == 0)
        #expect(body.hasPrefix("Auto-Submitted"))
    }

    @Test(
        "keywords are read as RFC 3834 writes them",
        arguments: [
            ("auto-replied", true, true), ("Auto-Replied; a=b", true, true), ("auto-replied(vacation)", true, true),
            ("(it (really) \\) says) auto-replied", true, true), ("auto-generated", true, false),
            ("auto-notified", true, false), ("auto-replied-by-hand", true, false), ("no", false, false),
            ("No (a person)", false, false), ("", false, false), ("(auto-replied)", false, false),
            ("((((", false, false),
            ("x-something", true, false),
        ])
    func keywords(value: String, isAutomatic: Bool, isReply: Bool) {
        let fields = HeaderSigns([Envelope.Header(name: "Auto-Submitted", value: value)], hostname: [])
        let raw = signs("Auto-Submitted: \(value)\n\n").signs
        #expect(fields == raw)
        #expect(raw.isAutomatic == isAutomatic && raw.isAutomaticReply == isReply)
    }

    @Test("hostile bytes are read to their end, and say nothing")
    func hostile() {
        let hosts = Array(hostname.utf8)
        let inputs: [[UInt8]] = [
            [], [0x0A], [0x0D], [0x0D, 0x0A], Array("r".utf8), Array("received".utf8), Array("received ".utf8),
            Array("Received:".utf8), Array("Received:(Postern".utf8),
            Array("Received: by mail.example.org (Postern".utf8),
            Array("Received:mail.example.org (Postern)".utf8), Array("Auto-Submitted:(\\".utf8),
            Array("Auto-Submitted: ;".utf8), [UInt8](repeating: 0, count: 1000), [UInt8](repeating: 0xFF, count: 1000),
            [UInt8](repeating: UInt8(ascii: "("), count: 100_000), Array("\n\n".utf8),
        ]
        for input in inputs {
            let (signs, bodyStart) = HeaderSigns.read(input, hostname: hosts)
            #expect(bodyStart <= input.count)
            #expect(signs.areHarmless && signs.ownReceived == 0 && !signs.isFromList)
        }
    }

    @Test("any bytes at all are read to their end, with the same answer for a name in another case")
    func fuzz() {
        var dice = Dice(1)
        let words = [
            "Auto-Submitted", "auto-replied", "Received", "by ", hostname, "(Postern)", "In-Reply-To", ": ", "\r\n",
            "\n",
            "(", "\\", " ", "List-Id", "Precedence", "list", ";", "\t", "<1@a>", "\u{0}", "é",
        ]
        for _ in 0..<3_000 {
            let text = (0..<Int.random(in: 0...24, using: &dice)).map { _ in words.randomElement(using: &dice) ?? "" }
            let first = HeaderSigns.read(Array(text.joined().utf8), hostname: Array(hostname.utf8))
            let second = HeaderSigns.read(Array(text.joined().lowercased().utf8), hostname: Array(hostname.utf8))
            #expect(first.signs == second.signs && first.bodyStart == second.bodyStart)
        }
    }
}
