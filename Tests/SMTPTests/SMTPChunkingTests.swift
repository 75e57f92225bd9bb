// BDAT (RFC 3030): exact octets, whatever they look like.

import NIOCore
import SMTP
import Testing

@Suite("SMTP chunking")
struct SMTPChunkingTests {
    private func ready(_ settings: SMTPServerSettings = .open) -> SessionDriver {
        var driver = SessionDriver(settings)
        _ = driver.send("EHLO c\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\n")
        return driver
    }

    @Test("chunks are put together as they are: dots stay, and no line needs an end")
    func together() {
        for drip in [false, true] {
            var driver = ready()
            let replies = driver.send("BDAT 5\r\n.\r\n..BDAT 0\r\nBDAT 9 LAST\r\n.x\r\nQUITZNOOP\r\n", drip: drip)
            #expect(
                replies == [
                    "250 2.0.0 5 octets received", "250 2.0.0 0 octets received", "250 2.0.0 Queued.", "250 2.0.0 OK",
                ]
            )
            #expect(driver.stored.map(\.message) == [".\r\n...x\r\nQUITZ"])
        }
    }

    @Test("BDAT 0 LAST ends a message, also an empty one")
    func zero() {
        var driver = ready()
        #expect(driver.send("BDAT 4\r\nab\r\nBDAT 0 LAST\r\n").count == 2)
        _ = driver.send("MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nBDAT 0 LAST\r\n")
        #expect(driver.stored.map(\.message) == ["ab\r\n", ""])
    }

    @Test("a CRLF may be cut by chunks, but a message may not end in CR")
    func cutLineEnd() {
        var driver = ready()
        _ = driver.send("BDAT 2\r\na\rBDAT 1 LAST\r\n\n")
        #expect(driver.stored.map(\.message) == ["a\r\n"])
        var ends = ready()
        #expect(ends.send("BDAT 2 LAST\r\na\r").map { $0.prefix(9) } == ["521 5.5.2"])
        #expect(ends.stored.isEmpty)
    }

    @Test("without a transaction the octets are read all the same, and are no commands")
    func outOfPlace() {
        var driver = SessionDriver()
        _ = driver.send("EHLO c\r\n")
        #expect(driver.send("BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n").map { $0.prefix(9) } == ["503 5.5.1", "250 2.0.0"])
        _ = driver.send("MAIL FROM:<a@b.c>\r\nRCPT TO:<nobody@e.f>\r\n")
        #expect(driver.send("BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n").map { $0.prefix(9) } == ["503 5.5.1", "250 2.0.0"])
        #expect(driver.stored.isEmpty)
    }

    @Test("DATA, MAIL and RCPT have no place between chunks; RSET has")
    func mixing() {
        var driver = ready()
        _ = driver.send("BDAT 1\r\na")
        for command in ["DATA", "RCPT TO:<x@y.z>", "MAIL FROM:<a@b.c>"] {
            #expect(driver.send(command + "\r\n").map { $0.prefix(9) } == ["503 5.5.1"], "\(command)")
        }
        #expect(driver.send("BDAT 1 LAST\r\nb").map { $0.prefix(9) } == ["250 2.0.0"], "the message goes on")
        #expect(driver.stored.map(\.message) == ["ab"])
        _ = driver.send("MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nBDAT 1\r\nx")
        #expect(driver.send("RSET\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nBDAT 1 LAST\r\ny").count == 4)
        #expect(driver.stored.map(\.message) == ["ab", "y"])
    }

    @Test("a chunk that makes the message too large is read and refused, and so are those behind it")
    func tooLarge() {
        var driver = ready(.open.with { $0.messageSize = 10 })
        let replies = driver.send("BDAT 6\r\nabcdefBDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")
        #expect(replies.map { $0.prefix(9) } == ["250 2.0.0", "552 5.3.4", "503 5.5.1", "250 2.0.0"])
        #expect(driver.stored.isEmpty)
    }

    @Test("a size that nobody can mean is not waited for to the end")
    func absurd() {
        var driver = ready(.open.with { $0.discardedOctets = 1_000 })
        _ = driver.send("BDAT 9000000000000000000 LAST\r\n")
        let replies = driver.send(String(repeating: "x", count: 1_001))
        #expect(replies.map { $0.prefix(9) } == ["421 4.7.0"])
        #expect(driver.closeReason == .flood)
    }

    @Test("a size that is no number ends the session, for the octets would be taken for commands")
    func unreadable() {
        var driver = ready()
        #expect(driver.send("BDAT 6x LAST\r\nQUIT\r\n").map { $0.prefix(9) } == ["501 5.5.4"])
        #expect(driver.closeReason == .lostFraming)
    }

    @Test("BINARYMIME only where it is offered, only with BDAT, and then with any octets")
    func binary() {
        var refusing = SessionDriver()
        #expect(!refusing.send("EHLO c\r\n").contains { $0.hasSuffix("BINARYMIME") })
        #expect(refusing.send("MAIL FROM:<a@b.c> BODY=BINARYMIME\r\n").map { $0.prefix(9) } == ["555 5.5.4"])
        var settings = SMTPServerSettings.open
        settings.offersBinaryMIME = true
        var driver = SessionDriver(settings)
        #expect(driver.send("EHLO c\r\n").contains("250-BINARYMIME"))
        _ = driver.send("MAIL FROM:<a@b.c> BODY=BINARYMIME\r\nRCPT TO:<d@e.f>\r\n")
        #expect(driver.send("DATA\r\n").map { $0.prefix(9) } == ["503 5.5.1"])
        _ = driver.send("BDAT 5 LAST\r\n\0\n\r\n\r")
        #expect(driver.stored.map(\.message) == ["\0\n\r\n\r"])
    }

    @Test("a line that is too long is refused with the chunk")
    func longLine() {
        var driver = ready(.open.with { $0.dataLine = 4 })
        #expect(
            driver.send("BDAT 8\r\nabcd\r\nabBDAT 2 LAST\r\ncd").map { $0.prefix(9) } == ["250 2.0.0", "250 2.0.0"]
        )
        _ = driver.send("MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\n")
        #expect(driver.send("BDAT 3\r\nabcBDAT 2 LAST\r\nde").map { $0.prefix(9) } == ["250 2.0.0", "500 5.6.0"])
    }
}
