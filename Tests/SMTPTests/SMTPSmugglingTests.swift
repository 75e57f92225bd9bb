// Where a message ends: only at CRLF.CRLF. Every other line end is refused with 521 and the connection (CVE-2023-51764).

import NIOCore
import SMTP
import Testing

@Suite("SMTP smuggling")
struct SMTPSmugglingTests {
    /// Ends of data that some server takes for one (hannob/smtpsmug), and their relatives.
    static let falseEnds: [String] = [
        "\n.\n", "\r.\r", "\r.\n", "\n.\r", "\n.\r\n", "\r\n.\n", "\r.\r\n", "\r\n.\r", "\r\n\0.\r\n", "\r\n.\0\r\n",
        "\n.\n\n", "\r\r\n.\r\n", "\r\n.\r\r\n", "\n\r\n.\r\n", "\0\r\n.\r\n",
    ]

    @Test("a false end of data is refused, nothing is stored, and what follows is not read", arguments: falseEnds)
    func data(end: String) {
        for drip in [false, true] {
            var driver = SessionDriver()
            _ = driver.send("EHLO c\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n")
            let smuggled =
                "Subject: one\r\n\r\nhello" + end
                + "MAIL FROM:<evil@example.com>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nx\r\n.\r\n"
            let replies = driver.send(smuggled, drip: drip)
            #expect(replies.map { $0.prefix(9) } == ["521 5.5.2"], "\(end.debugDescription) gave \(replies)")
            #expect(driver.closeReason == .badLineEnding)
            #expect(driver.stored.isEmpty)
            #expect(driver.send("QUIT\r\n") == [])
        }
    }

    @Test("the same sequences are refused in BDAT text, also where they are cut by chunks", arguments: falseEnds)
    func chunks(end: String) {
        let body = "Subject: one\r\n\r\nhello" + end + "more\r\n"
        for cut in 0...body.utf8.count {
            var driver = SessionDriver()
            _ = driver.send("EHLO c\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\n")
            let bytes = Array(body.utf8)
            driver.feed(Array("BDAT \(cut)\r\n".utf8) + bytes[..<cut])
            driver.feed(Array("BDAT \(bytes.count - cut) LAST\r\n".utf8) + bytes[cut...])
            #expect(driver.closeReason == .badLineEnding, "cut at \(cut)")
            #expect(driver.stored.isEmpty)
        }
    }

    @Test(
        "a bare LF, a bare CR or a NUL in a command is refused",
        arguments: ["NOOP\n", "NO\rOP\r\n", "NO\0OP\r\n", "\n"]
    )
    func commands(line: String) {
        for drip in [false, true] {
            var driver = SessionDriver()
            _ = driver.replies()
            #expect(driver.send(line, drip: drip).map { $0.prefix(9) } == ["521 5.5.2"])
            #expect(driver.closeReason == .badLineEnding)
        }
    }

    @Test("a bare LF is no end of an AUTH response")
    func authentication() {
        var driver = SessionDriver()
        _ = driver.send("EHLO c\r\nAUTH PLAIN\r\n")
        #expect(driver.send("AGFubgBzZWNyZXQ=\n").map { $0.prefix(9) } == ["521 5.5.2"])
        #expect(driver.attempts.isEmpty)
    }

    @Test("the true end is found at every place where a read can be cut")
    func everyCut() {
        let body = ".\r\n..\r\n...a\r\n.b\r\n\r\n\r\n.\r\nNOOP\r\n"
        let whole = "x\r\n.." + body
        let bytes = Array(whole.utf8)
        for first in 0...bytes.count {
            for second in first...bytes.count {
                var driver = SessionDriver()
                _ = driver.send("EHLO c\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n")
                driver.feed(bytes[..<first])
                driver.feed(bytes[first..<second])
                driver.feed(bytes[second...])
                #expect(driver.stored.map(\.message) == ["x\r\n..\r\n.\r\n..a\r\nb\r\n\r\n\r\n"])
                #expect(driver.replies().map { $0.prefix(9) } == ["250 2.0.0", "250 2.0.0"])
            }
        }
    }

    @Test("a message that is one dot is empty, and CRLF.CRLF needs a line before it")
    func empty() {
        var driver = SessionDriver()
        _ = driver.send("EHLO c\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n")
        _ = driver.send(".\r\n")
        #expect(driver.stored.map(\.message) == [""])
    }
}
