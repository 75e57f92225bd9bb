// What a client may cost us: sizes, numbers and time (RFC 5321 §4.5.3).

import NIOCore
import SMTP
import Testing

@Suite("SMTP server limits")
struct SMTPLimitsTests {
    private func transaction(_ driver: inout SessionDriver) {
        _ = driver.send("EHLO c\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n")
    }

    @Test("a command line of exactly the limit is taken, one octet more is not, and the session goes on")
    func commandLine() {
        let settings = SMTPServerSettings.open.with { $0.commandLine = 20 }
        for drip in [false, true] {
            var driver = SessionDriver(settings)
            _ = driver.replies()
            #expect(driver.send("NOOP 7890123456789\r\n", drip: drip) == ["250 2.0.0 OK"])
            let tooLong = driver.send("NOOP 78901234567890\r\nNOOP\r\n", drip: drip)
            #expect(tooLong.map { $0.prefix(9) } == ["500 5.5.2", "250 2.0.0"])
        }
    }

    @Test("SIZE= over the limit is refused before the message is sent")
    func announcedSize() {
        var driver = SessionDriver(.open.with { $0.messageSize = 1_000 })
        #expect(driver.send("EHLO c\r\n").contains("250-SIZE 1000"))
        #expect(driver.send("MAIL FROM:<a@b.c> SIZE=1001\r\n").map { $0.prefix(9) } == ["552 5.3.4"])
        #expect(driver.send("MAIL FROM:<a@b.c> SIZE=1000\r\n").map { $0.prefix(9) } == ["250 2.1.0"])
    }

    @Test("a message over the limit is read to its end and refused; one of exactly the limit is taken")
    func messageSize() {
        for drip in [false, true] {
            var driver = SessionDriver(.open.with { $0.messageSize = 10 })
            transaction(&driver)
            // Stuffed dots do not count.
            #expect(driver.send("..345678\r\n.\r\n", drip: drip).map { $0.prefix(9) } == ["250 2.0.0"])
            #expect(driver.stored.map(\.message) == [".345678\r\n"])
            transaction(&driver)
            #expect(
                driver.send("123456789\r\n.\r\nNOOP\r\n", drip: drip).map { $0.prefix(9) } == [
                    "552 5.3.4", "250 2.0.0",
                ]
            )
            #expect(driver.stored.count == 1)
        }
    }

    @Test("who goes on and on with a message that is too large is cut off")
    func endlessMessage() {
        var driver = SessionDriver(.open.with { ($0.messageSize, $0.discardedOctets) = (1_000, 2_000) })
        transaction(&driver)
        for _ in 0..<100 where driver.closeReason == nil {
            driver.feed(Array("0123456789012345678901234567890123456789\r\n".utf8))
        }
        #expect(driver.replies().map { $0.prefix(9) } == ["421 4.7.0"])
        #expect(driver.closeReason == .flood)
    }

    @Test("a line of the message over 998 octets is refused at the end, wherever reads are cut")
    func dataLine() {
        for (length, reply) in [(998, "250 2.0.0"), (999, "500 5.6.0"), (100_000, "500 5.6.0")] {
            for dotted in [false, true] {
                for piece in [1, 7, 1_000, 200_000] {
                    var driver = SessionDriver()
                    transaction(&driver)
                    let line = (dotted ? ".." : "x") + String(repeating: "x", count: length - 1) + "\r\n"
                    let bytes = Array((line + ".\r\n").utf8)
                    for start in stride(from: 0, to: bytes.count, by: piece) {
                        driver.feed(bytes[start..<min(start + piece, bytes.count)])
                    }
                    #expect(driver.replies().map { $0.prefix(9) } == [reply[...]], "\(length) by \(piece)")
                    #expect(driver.closeReason == nil)
                }
            }
        }
    }

    @Test("without a line limit a long line comes through unchanged, dots and all")
    func anyLine() {
        for piece in [1_000, 65_000, 70_000, 500_000] {
            var driver = SessionDriver(.open.with { $0.dataLine = nil })
            transaction(&driver)
            let body = "." + String(repeating: "y.", count: 100_000) + "\r\nend\r\n"
            let bytes = Array(("." + body + ".\r\n").utf8)
            for start in stride(from: 0, to: bytes.count, by: piece) {
                driver.feed(bytes[start..<min(start + piece, bytes.count)])
            }
            #expect(driver.stored.count == 1)
            #expect(driver.stored.first?.message == body)
        }
    }

    @Test("recipients over the limit get 452 and the others are kept")
    func recipients() {
        var driver = SessionDriver(.open.with { ($0.recipients, $0.errors) = (100, 5) })
        _ = driver.send("EHLO c\r\nMAIL FROM:<a@b.c>\r\n")
        let replies = driver.send((0..<150).map { "RCPT TO:<r\($0)@e.f>\r\n" }.joined())
        #expect(replies.filter { $0.hasPrefix("250 2.1.5") }.count == 100)
        #expect(replies.filter { $0.hasPrefix("452 4.5.3") }.count == 50)
        _ = driver.send("DATA\r\nx\r\n.\r\n")
        #expect(driver.stored.first?.transaction.recipients.count == 100)
    }

    @Test("after too many errors the client has to go")
    func errors() {
        var driver = SessionDriver(.open.with { $0.errors = 3 })
        _ = driver.replies()
        let replies = driver.send("FOO\r\nBAR\r\nBAZ\r\nNOOP\r\n")
        #expect(replies.map { $0.prefix(9) } == ["500 5.5.1", "500 5.5.1", "500 5.5.1", "421 4.7.0"])
        #expect(driver.closeReason == .tooManyErrors)
    }

    @Test("refused recipients count against strangers, not against authenticated clients")
    func refusedRecipients() {
        let settings = SMTPServerSettings.open.with { $0.errors = 5 }
        let refused = String(repeating: "RCPT TO:<nobody@e.f>\r\n", count: 20)
        var stranger = SessionDriver(settings)
        _ = stranger.send("EHLO c\r\nMAIL FROM:<a@b.c>\r\n")
        #expect(stranger.send(refused).count == 6)
        #expect(stranger.closeReason == .tooManyErrors)
        var friend = SessionDriver(settings)
        _ = friend.send("EHLO c\r\nAUTH PLAIN AGFubgBzZWNyZXQ=\r\nMAIL FROM:<a@b.c>\r\n")
        #expect(friend.send(refused).count == 20)
        #expect(friend.closeReason == nil)
    }

    @Test("who only chats has to go, who sends mail may stay")
    func unauthenticatedCommands() {
        var driver = SessionDriver(.open.with { $0.unauthenticatedCommands = 5 })
        _ = driver.send("EHLO c\r\n")
        let replies = driver.send(String(repeating: "NOOP\r\n", count: 10))
        #expect(replies.count == 5 && replies.last?.hasPrefix("421 4.7.0") == true)
        #expect(driver.closeReason == .tooManyCommands)
        var busy = SessionDriver(.open.with { $0.unauthenticatedCommands = 5 })
        _ = busy.send("EHLO c\r\n")
        for _ in 0..<20 { _ = busy.send("MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\nx\r\n.\r\nNOOP\r\n") }
        #expect(busy.stored.count == 20 && busy.closeReason == nil)
    }

    @Test("a session carries so many messages and then ends between two")
    func messages() {
        var driver = SessionDriver(.open.with { $0.messages = 2 })
        _ = driver.send("EHLO c\r\n")
        for _ in 0..<2 { _ = driver.send("MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\nx\r\n.\r\n") }
        #expect(driver.send("MAIL FROM:<a@b.c>\r\n").map { $0.prefix(9) } == ["421 4.4.2"])
        #expect(driver.closeReason == .sessionSpent)
        #expect(driver.stored.count == 2)
    }

    @Test("a command has five minutes, and its octets one by one do not prolong them")
    func commandTimeout() {
        var driver = SessionDriver()
        _ = driver.send("EHLO c\r\n")
        driver.wait(.minutes(4))
        #expect(driver.closeReason == nil)
        driver.feed(Array("NOO".utf8))
        driver.wait(.minutes(1))
        #expect(driver.replies().map { $0.prefix(9) } == ["421 4.4.2"])
        #expect(driver.closeReason == .timedOut)
    }

    @Test("a whole command begins the time anew")
    func commandRenewsTime() {
        var driver = SessionDriver()
        for _ in 0..<10 {
            driver.wait(.minutes(4))
            #expect(driver.send("NOOP\r\n").last == "250 2.0.0 OK")
        }
    }

    @Test("a message has three minutes for each piece")
    func dataTimeout() {
        var driver = SessionDriver()
        transaction(&driver)
        for _ in 0..<5 {
            driver.wait(.minutes(2))
            driver.feed(Array("x\r\n".utf8))
        }
        #expect(driver.closeReason == nil)
        driver.wait(.minutes(3))
        #expect(driver.closeReason == .timedOut)
        #expect(driver.stored.isEmpty)
    }

    @Test("a session does not last for ever, but is not cut while we are the ones to be waited for")
    func sessionTime() {
        var driver = SessionDriver(.open.with { $0.sessionTime = .minutes(10) })
        driver.holdsMessages = true
        transaction(&driver)
        _ = driver.send("x\r\n.\r\n")
        driver.wait(.hours(1))
        #expect(driver.closeReason == nil)
        driver.finishStoring(.queued)
        #expect(driver.replies() == ["250 2.0.0 Queued."])
        driver.wait(.zero)
        #expect(driver.replies().map { $0.prefix(9) } == ["421 4.4.2"])
        #expect(driver.closeReason == .sessionSpent)
    }

    @Test("a handshake has thirty seconds and ends without a word")
    func handshakeTimeout() {
        var driver = SessionDriver(implicitTLS: true, greets: false)
        driver.wait(.seconds(29))
        #expect(driver.closeReason == nil)
        driver.wait(.seconds(1))
        #expect(driver.closeReason == .timedOut)
        #expect(driver.replies() == [])
    }

    @Test("who speaks before the greeting is not listened to")
    func earlyTalker() {
        var driver = SessionDriver(greets: false)
        driver.session.receive(ByteBuffer(string: "EHLO c\r\n"), now: driver.now)
        guard case .close(let replies, .spokeEarly) = driver.session.greet(now: driver.now) else {
            Issue.record("the early talker was greeted")
            return
        }
        #expect(replies.map(\.text).first?.hasPrefix("554 5.5.0") == true)
    }

    @Test("a shutdown ends idle sessions at once, and the others behind their message")
    func shutDown() {
        var idle = SessionDriver()
        _ = idle.send("EHLO c\r\nMAIL FROM:<a@b.c>\r\n")
        idle.shutDown()
        #expect(idle.replies().map { $0.prefix(9) } == ["421 4.3.2"])
        #expect(idle.closeReason == .serverShutdown)

        var receiving = SessionDriver()
        transaction(&receiving)
        _ = receiving.send("x\r\n")
        receiving.shutDown()
        #expect(receiving.replies() == [] && receiving.closeReason == nil)
        #expect(
            receiving.send("y\r\n.\r\nMAIL FROM:<a@b.c>\r\n") == [
                "250 2.0.0 Queued.", "421 4.3.2 The server is shutting down; connect again soon.",
            ]
        )
        #expect(receiving.stored.map(\.message) == ["x\r\ny\r\n"])

        var storing = SessionDriver()
        storing.holdsMessages = true
        transaction(&storing)
        _ = storing.send("x\r\n.\r\n")
        storing.shutDown()
        #expect(storing.closeReason == nil)
        storing.finishStoring(.queued)
        #expect(storing.replies().map { $0.prefix(9) } == ["250 2.0.0", "421 4.3.2"])

        var chunks = SessionDriver()
        _ = chunks.send("EHLO c\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nBDAT 1\r\na")
        chunks.shutDown()
        #expect(chunks.send("BDAT 1 LAST\r\nb").map { $0.prefix(9) } == ["250 2.0.0", "421 4.3.2"])
        #expect(chunks.stored.map(\.message) == ["ab"])
    }
}
