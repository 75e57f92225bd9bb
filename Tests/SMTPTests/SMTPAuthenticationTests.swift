// AUTH and STARTTLS: who may, when, and how the dialogue goes (RFC 4954, RFC 4616, RFC 3207).

import NIOCore
import SMTP
import Testing

@Suite("SMTP authentication")
struct SMTPAuthenticationTests {
    /// `\0ann\0secret`
    private let plain = "AGFubgBzZWNyZXQ="

    @Test("PLAIN with an initial response")
    func plainInitial() throws {
        let driver = play(
            """
            C: HELO client.test
            S: 250
            C: AUTH PLAIN \(plain)
            S: 503 5.5.1 Send EHLO, not HELO
            """
        )
        #expect(driver.attempts.isEmpty)
        var esmtp = SessionDriver()
        _ = esmtp.send("EHLO c\r\n")
        #expect(esmtp.send("auth plain \(plain)\r\n") == ["235 2.7.0 Authentication succeeded"])
        let attempt = try #require(esmtp.attempts.first)
        #expect(attempt.mechanism == .plain)
        #expect(attempt.username == "ann")
        #expect(attempt.authorizationID == "")
        #expect(attempt.password == Array("secret".utf8))
        #expect(!esmtp.send("EHLO c\r\n").contains { $0.contains("AUTH") }, "not offered twice")
        #expect(esmtp.send("AUTH PLAIN \(plain)\r\n") == ["503 5.5.1 You are authenticated already."])
        _ = esmtp.send("MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\nx\r\n.\r\n")
        #expect(esmtp.stored.first?.transaction.protocolName == "ESMTPA")
    }

    @Test("PLAIN without an initial response gets an empty challenge, with its space")
    func plainChallenge() {
        var driver = SessionDriver()
        _ = driver.send("EHLO c\r\n")
        #expect(driver.send("AUTH PLAIN\r\n") == ["334 "])
        #expect(driver.send("\(plain)\r\n", drip: true) == ["235 2.7.0 Authentication succeeded"])
    }

    @Test("LOGIN asks for name and password, and takes the name at once")
    func login() {
        for first in ["AUTH LOGIN\r\n", "AUTH LOGIN YW5u\r\n"] {
            var driver = SessionDriver()
            _ = driver.send("EHLO c\r\n")
            if first == "AUTH LOGIN\r\n" {
                #expect(driver.send(first) == ["334 VXNlcm5hbWU6"])
                #expect(driver.send("YW5u\r\n") == ["334 UGFzc3dvcmQ6"])
            } else {
                #expect(driver.send(first) == ["334 UGFzc3dvcmQ6"])
            }
            #expect(driver.send("c2VjcmV0\r\n") == ["235 2.7.0 Authentication succeeded"])
            #expect(driver.attempts.first?.mechanism == .login)
        }
    }

    @Test(
        "malformed responses are refused without asking the delegate",
        arguments: [
            ("AUTH PLAIN *", "501 5.7.0"),
            ("AUTH PLAIN =", "501 5.5.2"),
            ("AUTH PLAIN AGFubgBzZWNyZXQ", "501 5.5.2"),  // padding is missing
            ("AUTH PLAIN AGFubgBzZWNy!XQ=", "501 5.5.2"),
            ("AUTH PLAIN AGFubgBz=WNyZXQ=", "501 5.5.2"),
            ("AUTH PLAIN AGFubgBzZWNyZXQ= x", "501 5.5.4"),
            ("AUTH PLAIN YW5u", "501 5.5.2"),  // no NUL
            ("AUTH PLAIN AAAA", "501 5.5.2"),  // three NULs
            ("AUTH PLAIN AAA=", "501 5.5.2"),  // no user name
            ("AUTH PLAIN AGFubgD//g==", "501 5.5.2"),  // a password that is not UTF-8
            ("AUTH LOGIN =", "501 5.5.2"),
            ("AUTH LOGIN //79", "501 5.5.2"),
            ("AUTH CRAM-MD5", "504 5.5.4"),
            ("AUTH", "501 5.5.4"),
        ]
    )
    func malformed(line: String, reply: String) {
        var driver = SessionDriver()
        _ = driver.send("EHLO c\r\n")
        let replies = driver.send(line + "\r\n")
        #expect(replies.count == 1)
        #expect(replies.first?.hasPrefix(reply) == true, "\(line) was answered \(replies)")
        #expect(driver.attempts.isEmpty)
        #expect(driver.send("NOOP\r\n") == ["250 2.0.0 OK"], "the session goes on with commands")
    }

    @Test("an asterisk or a wrong line in the middle ends the exchange")
    func cancelled() {
        var driver = SessionDriver()
        _ = driver.send("EHLO c\r\n")
        _ = driver.send("AUTH LOGIN\r\nYW5u\r\n")
        #expect(driver.send("*\r\n").first?.hasPrefix("501 5.7.0") == true)
        _ = driver.send("AUTH PLAIN\r\n")
        #expect(driver.send("=\r\n").first?.hasPrefix("501 5.5.2") == true, "= only stands for nothing in the command")
        #expect(driver.attempts.isEmpty)
    }

    @Test("after three wrong passwords the client has to go")
    func failures() {
        var driver = SessionDriver()
        _ = driver.send("EHLO c\r\n")
        let wrong = "AUTH PLAIN AGFubgB3cm9uZw==\r\n"
        #expect(driver.send(wrong).first?.hasPrefix("535 5.7.8") == true)
        #expect(driver.send(wrong).first?.hasPrefix("535 5.7.8") == true)
        let last = driver.send(wrong)
        #expect(last.map { $0.prefix(9) } == ["535 5.7.8", "421 4.7.0"])
        #expect(driver.closeReason == .tooManyAuthenticationFailures)
    }

    @Test("a failure on our side does not count against the client")
    func unavailable() {
        var driver = SessionDriver()
        driver.judgeCredentials = { _ in .authenticationUnavailable }
        _ = driver.send("EHLO c\r\n")
        for _ in 0..<5 { #expect(driver.send("AUTH PLAIN \(plain)\r\n").first?.hasPrefix("454 4.7.0") == true) }
        #expect(driver.closeReason == nil)
    }

    @Test("in clear AUTH is not offered, not taken, and mail needs it")
    func submissionInClear() {
        var driver = SessionDriver(.submission)
        _ = driver.replies()
        let offers = driver.send("EHLO c\r\n")
        #expect(offers.contains("250-STARTTLS"))
        #expect(!offers.contains { $0.contains("AUTH") })
        #expect(driver.send("AUTH PLAIN \(plain)\r\n").first?.hasPrefix("538 5.7.11") == true)
        #expect(driver.send("MAIL FROM:<a@b.c>\r\n").first?.hasPrefix("530 5.7.0 TLS") == true)
        #expect(driver.attempts.isEmpty)
    }

    @Test("after STARTTLS everything is forgotten and AUTH is offered")
    func startTLS() {
        var driver = SessionDriver(.submission)
        _ = driver.send("EHLO c\r\n")
        #expect(driver.send("STARTTLS\r\n").first?.hasPrefix("220 2.0.0") == true)
        #expect(driver.tlsWasBegun)
        driver.finishTLS()
        #expect(driver.session.hello == nil)
        #expect(driver.send("MAIL FROM:<a@b.c>\r\n").first?.hasPrefix("503 5.5.1 Send EHLO") == true)
        let offers = driver.send("EHLO c\r\n")
        #expect(!offers.contains { $0.contains("STARTTLS") })
        #expect(offers.contains("250-AUTH PLAIN LOGIN"))
        #expect(driver.send("STARTTLS\r\n").first?.hasPrefix("503 5.5.1") == true)
        #expect(driver.send("MAIL FROM:<a@b.c>\r\n").first?.hasPrefix("530 5.7.0 Auth") == true)
        #expect(driver.send("AUTH PLAIN \(plain)\r\n").first?.hasPrefix("235") == true)
        _ = driver.send("MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\nx\r\n.\r\n")
        #expect(driver.stored.first?.transaction.protocolName == "ESMTPSA")
    }

    @Test("who authenticated in clear has to do it again under TLS (RFC 3207 §4.2)")
    func authenticationForgotten() {
        var settings = SMTPServerSettings.open
        settings.requiresAuthentication = true
        var driver = SessionDriver(settings)
        _ = driver.send("EHLO c\r\nAUTH PLAIN \(plain)\r\nSTARTTLS\r\n")
        driver.finishTLS()
        #expect(driver.send("EHLO c\r\n").contains("250-AUTH PLAIN LOGIN"))
        #expect(driver.send("MAIL FROM:<a@b.c>\r\n").first?.hasPrefix("530 5.7.0") == true)
    }

    @Test("clear text behind STARTTLS is an attack: nothing of it is used (CVE-2011-0411)")
    func injection() {
        var driver = SessionDriver(.open)
        _ = driver.send("EHLO c\r\n")
        let replies = driver.send("STARTTLS\r\nMAIL FROM:<evil@example.com>\r\n")
        #expect(replies.map { $0.prefix(9) } == ["554 5.5.0"])
        #expect(driver.closeReason == .injectedBeforeTLS)
        #expect(!driver.tlsWasBegun)
        #expect(driver.send("NOOP\r\n") == [])
    }

    @Test("even part of a line behind STARTTLS is too much")
    func injectedFragment() {
        var driver = SessionDriver(.open)
        _ = driver.send("EHLO c\r\n")
        #expect(driver.send("STARTTLS\r\n\u{16}").first?.hasPrefix("554 5.5.0") == true)
    }

    @Test("STARTTLS and AUTH have their place")
    func order() {
        var driver = SessionDriver(.open)
        #expect(driver.send("STARTTLS\r\n").last?.hasPrefix("503 5.5.1") == true)
        #expect(driver.send("AUTH PLAIN \(plain)\r\n").first?.hasPrefix("503 5.5.1 Send EHLO") == true)
        _ = driver.send("EHLO c\r\n")
        #expect(driver.send("STARTTLS now\r\n").first?.hasPrefix("501 5.5.4") == true)
        _ = driver.send("MAIL FROM:<a@b.c>\r\n")
        #expect(driver.send("STARTTLS\r\n").first?.hasPrefix("503 5.5.1") == true)
        #expect(driver.send("AUTH PLAIN \(plain)\r\n").first?.hasPrefix("503 5.5.1 AUTH comes before") == true)
    }

    @Test("without TLS and AUTH at hand both are refused")
    func notOffered() {
        var driver = SessionDriver(
            SMTPServerSettings(
                hostname: "mx.test",
                authentication: .notOffered,
                requiresAuthentication: false,
                offersStartTLS: false
            )
        )
        let offers = driver.send("EHLO c\r\n")
        #expect(!offers.contains { $0.contains("STARTTLS") || $0.contains("AUTH") })
        #expect(driver.send("STARTTLS\r\n").first?.hasPrefix("502 5.5.1") == true)
        #expect(driver.send("AUTH PLAIN \(plain)\r\n").first?.hasPrefix("502 5.5.1") == true)
    }

    @Test("a password is never printed")
    func secrets() {
        let attempt = SMTPAuthentication(mechanism: .plain, username: "ann", password: Array("secret".utf8))
        var dumped = ""
        dump(attempt, to: &dumped)
        let number = "\(UInt8(ascii: "s"))"
        for text in ["\(attempt)", String(reflecting: attempt), dumped, "\([attempt])"] {
            #expect(!text.contains("secret") && !text.contains(number), "\(text)")
        }
    }

    @Test("an AUTH line may be long, and one that is too long ends the exchange")
    func longLine() {
        var driver = SessionDriver()
        _ = driver.send("EHLO c\r\nAUTH PLAIN\r\n")
        let long = String(repeating: "A", count: 12_000)
        #expect(driver.send(long + "\r\n").first?.hasPrefix("501 5.5.2") == true, "a bad response, but a line")
        _ = driver.send("AUTH PLAIN\r\n")
        #expect(driver.send(long + long + "\r\n", drip: true).first?.hasPrefix("500 5.5.6") == true)
        #expect(driver.send("NOOP\r\n") == ["250 2.0.0 OK"])
    }
}
