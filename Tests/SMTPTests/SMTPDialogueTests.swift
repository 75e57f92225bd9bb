// Whole conversations with the server, as transcripts.

import SMTP
import Testing

@Suite("SMTP server dialogues")
struct SMTPDialogueTests {
    @Test("the greeting names the host and carries no enhanced code")
    func greeting() {
        var driver = SessionDriver()
        #expect(driver.replies() == ["220 mx.test ESMTP"])
    }

    @Test("a message goes from EHLO to QUIT")
    func simple() throws {
        let driver = play(
            """
            C: EHLO client.test
            S: 250-mx.test
            S: 250-PIPELINING
            S: 250-SIZE 26214400
            S: 250-8BITMIME
            S: 250-SMTPUTF8
            S: 250-ENHANCEDSTATUSCODES
            S: 250-CHUNKING
            S: 250-STARTTLS
            S: 250-AUTH PLAIN LOGIN
            S: 250 HELP
            C: MAIL FROM:<a@example.com> SIZE=100 BODY=8BITMIME
            S: 250 2.1.0
            C: RCPT TO:<b@example.com>
            S: 250 2.1.5
            C: DATA
            S: 354 Send
            C: Subject: hello
            C:
            C: ..stuffed
            C: .. 
            C: text.
            C: .
            S: 250 2.0.0 Queued.
            C: QUIT
            S: 221 2.0.0
            """,
            closing: .quit
        )
        let message = try #require(driver.stored.first)
        #expect(driver.stored.count == 1)
        #expect(message.message == "Subject: hello\r\n\r\n.stuffed\r\n. \r\ntext.\r\n")
        #expect(message.transaction.reversePath.address == "a@example.com")
        #expect(message.transaction.reversePath.size == 100)
        #expect(message.transaction.reversePath.body == .eightBitMIME)
        #expect(message.transaction.recipients == [SMTPRecipient(address: "b@example.com")])
        #expect(message.transaction.protocolName == "ESMTP")
    }

    @Test("HELO gives no extensions, and the protocol is SMTP")
    func helo() {
        let driver = play(
            """
            C: HELO client.test
            S: 250 mx.test
            C: MAIL FROM:<a@example.com>
            S: 250 2.1.0
            C: RCPT TO:<b@example.com>
            S: 250 2.1.5
            C: DATA
            S: 354 
            C: hi
            C: .
            S: 250 2.0.0
            """
        )
        #expect(driver.stored.first?.transaction.protocolName == "SMTP")
    }

    @Test("a pipelined transaction is answered in order, and a refused recipient does not spoil it (RFC 2920)")
    func pipelining() {
        let driver = play(
            """
            C: HELO client.test
            S: 250 mx.test
            C: MAIL FROM:<>
            C: RCPT TO:<b@example.com>
            C: RCPT TO:<nobody@example.com>
            C: RCPT TO:<c@example.com>
            C: DATA
            S: 250 2.1.0
            S: 250 2.1.5
            S: 550 5.1.1
            S: 250 2.1.5
            S: 354 
            C: one
            C: .
            C: MAIL FROM:<x@example.com>
            C: RCPT TO:<d@example.com>
            C: DATA
            S: 250 2.0.0 Queued.
            S: 250 2.1.0
            S: 250 2.1.5
            S: 354 
            C: two
            C: .
            C: QUIT
            S: 250 2.0.0 Queued.
            S: 221 2.0.0
            """,
            closing: .quit
        )
        #expect(driver.stored.map(\.message) == ["one\r\n", "two\r\n"])
        #expect(
            driver.stored.map { $0.transaction.recipients.map(\.address) } == [
                ["b@example.com", "c@example.com"], ["d@example.com"],
            ]
        )
    }

    @Test("DATA without an accepted recipient is refused, so that the next line is a command again")
    func dataWithoutRecipient() {
        _ = play(
            """
            C: HELO client.test
            S: 250 mx.test
            C: MAIL FROM:<a@example.com>
            C: RCPT TO:<nobody@example.com>
            C: DATA
            S: 250 2.1.0
            S: 550 5.1.1
            S: 503 5.5.1 No recipient
            C: NOOP
            S: 250 2.0.0
            """
        )
    }

    @Test("commands out of order are told what comes first")
    func order() {
        _ = play(
            """
            C: MAIL FROM:<a@example.com>
            S: 503 5.5.1 Send EHLO
            C: EHLO
            S: 501 5.5.4
            C: HELO client.test
            S: 250 mx.test
            C: RCPT TO:<b@example.com>
            S: 503 5.5.1 Send MAIL
            C: DATA
            S: 503 5.5.1 Send MAIL
            C: MAIL FROM:<a@example.com>
            S: 250 2.1.0
            C: MAIL FROM:<a@example.com>
            S: 503 5.5.1 A transaction
            C: RSET
            S: 250 2.0.0
            C: RCPT TO:<b@example.com>
            S: 503 5.5.1
            """
        )
    }

    @Test("EHLO in the middle of a transaction ends it (RFC 5321 §4.1.4)")
    func helloResets() {
        _ = play(
            """
            C: HELO client.test
            S: 250 mx.test
            C: MAIL FROM:<a@example.com>
            C: RCPT TO:<b@example.com>
            C: HELO client.test
            C: DATA
            S: 250 2.1.0
            S: 250 2.1.5
            S: 250 mx.test
            S: 503 5.5.1
            """
        )
    }

    @Test("NOOP, HELP, VRFY, EXPN and the unknown")
    func smallCommands() {
        _ = play(
            """
            C: NOOP with an argument
            S: 250 2.0.0
            C: HELP
            S: 214-2.0.0 Commands:
            S: 214 2.0.0 See
            C: HELP MAIL
            S: 214-2.0.0
            S: 214 2.0.0
            C: VRFY postmaster
            S: 252 2.0.0
            C: VRFY
            S: 501 5.5.2
            C: EXPN list
            S: 502 5.5.1
            C: ETRN example.com
            S: 502 5.5.1
            C: FOO
            S: 500 5.5.1
            C:
            S: 500 5.5.1
            C: RSET now
            S: 501 5.5.4
            C: rset   
            S: 250 2.0.0
            C: quit
            S: 221 2.0.0
            """,
            closing: .quit
        )
    }

    @Test("what a delegate refuses is what the client hears, and 421 hangs up")
    func delegateRefusals() {
        var driver = SessionDriver()
        driver.judgeSender = {
            $0.address == "bad@example.com" ? SMTPReply(550, EnhancedCode(5, 7, 1), "Not you.") : nil
        }
        driver.answerMessage = { _ in SMTPReply(452, EnhancedCode(4, 3, 1), "The disk is full; try again later.") }
        _ = driver.send("HELO c\r\n")
        #expect(driver.send("MAIL FROM:<bad@example.com>\r\n") == ["550 5.7.1 Not you."])
        #expect(driver.send("MAIL FROM:<a@example.com>\r\nRCPT TO:<b@c.d>\r\nDATA\r\n").count == 3)
        #expect(driver.send("x\r\n.\r\n") == ["452 4.3.1 The disk is full; try again later."])
        #expect(driver.closeReason == nil)
        driver.judgeSender = { _ in SMTPReply(421, EnhancedCode(4, 3, 2), "Later.") }
        #expect(driver.send("MAIL FROM:<a@example.com>\r\nNOOP\r\n") == ["421 4.3.2 Later."])
        #expect(driver.closeReason == .refused)
    }

    @Test("while a message is being stored nothing else is answered, and nothing is lost")
    func storing() {
        var driver = SessionDriver()
        driver.holdsMessages = true
        _ = driver.send("HELO c\r\n")
        let replies = driver.send("MAIL FROM:<>\r\nRCPT TO:<b@c.d>\r\nDATA\r\nx\r\n.\r\nNOOP\r\nQUIT\r\n")
        #expect(replies.last?.hasPrefix("354") == true)
        #expect(driver.send("") == [])
        driver.finishStoring(.queued)
        #expect(driver.replies() == ["250 2.0.0 Queued.", "250 2.0.0 OK", "221 2.0.0 Bye"])
    }

    @Test("a client that closes its side still gets every reply")
    func halfClosed() {
        var driver = SessionDriver()
        driver.holdsMessages = true
        _ = driver.send("HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<b@c.d>\r\nDATA\r\nx\r\n.\r\nNOOP\r\n")
        driver.endInput()
        #expect(driver.closeReason == nil)
        driver.finishStoring(.queued)
        #expect(driver.replies() == ["250 2.0.0 Queued.", "250 2.0.0 OK"])
        #expect(driver.closeReason == .clientClosed)
    }

    @Test("a message cut off in the middle is not stored")
    func cutOff() {
        var driver = SessionDriver()
        _ = driver.send("HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<b@c.d>\r\nDATA\r\nx\r\n.\r")
        driver.endInput()
        #expect(driver.stored.isEmpty)
        #expect(driver.closeReason == .clientClosed)
    }

    @Test("protocol names follow RFC 3848 and RFC 6531")
    func protocolNames() {
        func name(_ esmtp: Bool, _ utf8: Bool, _ tls: Bool, _ auth: Bool) -> String {
            SMTPTransaction.protocolName(isESMTP: esmtp, usesUTF8: utf8, isTLS: tls, isAuthenticated: auth)
        }
        #expect(name(false, false, false, false) == "SMTP")
        #expect(name(true, false, false, false) == "ESMTP")
        #expect(name(true, false, true, false) == "ESMTPS")
        #expect(name(true, false, false, true) == "ESMTPA")
        #expect(name(true, false, true, true) == "ESMTPSA")
        #expect(name(true, true, true, true) == "UTF8SMTPSA")
        #expect(name(true, true, false, false) == "UTF8SMTP")
    }
}
