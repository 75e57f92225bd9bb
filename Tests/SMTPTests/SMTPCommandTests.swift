// The grammar of command lines: addresses, parameters, arguments.

import NIOCore
import Testing

@testable import SMTP

@Suite("SMTP command grammar")
struct SMTPCommandTests {
    private func parse(_ line: String) throws(SMTPCommandError) -> SMTPCommand {
        try SMTPCommand(ByteBuffer(string: line).readableBytesView)
    }

    private func mail(_ line: String) throws -> SMTPReversePath {
        guard case .mail(let path) = try parse(line) else { throw CancellationError() }
        return path
    }

    private func recipient(_ line: String) throws -> SMTPRecipient {
        guard case .recipient(let recipient) = try parse(line) else { throw CancellationError() }
        return recipient
    }

    private func refusal(_ line: String) -> String {
        do {
            _ = try parse(line)
            return "accepted"
        } catch {
            return "\(error.reply.code) \(error.reply.enhanced.map(String.init(describing:)) ?? "")"
        }
    }

    @Test(
        "addresses that are valid come out as written",
        arguments: [
            "a@example.com", "a.b+c@sub.example.com", "!#$%&'*+-/=?^_`{|}~@example.com", "\"a b\"@example.com",
            "\"a\\\"b\\\\\"@example.com", "\"<>@,;:\"@example.com", "\"\"@example.com", "a@[192.0.2.1]",
            "a@[IPv6:2001:db8::1]", "a@localhost", "a@xn--bcher-kva.example", "a@my_host.internal", "A@EXAMPLE.COM",
        ]
    )
    func validAddresses(address: String) throws {
        #expect(try mail("MAIL FROM:<\(address)>").address == address)
        #expect(try recipient("RCPT TO:<\(address)>").address == address)
    }

    @Test(
        "addresses that are not are refused",
        arguments: [
            "a", "a@", "@b", "a@b.", "a@.b", "a@b..c", ".a@b", "a.@b", "a..b@c", "a b@c", "a@b c", "a@-b", "a@b-",
            "a@[1.2.3]", "a@[IPv6:1.2.3.4]", "a@[2001:db8::1]", "a@[1.2.3.4", "\"a@b", "\"a\"b@c", "a@b@c", "a(x)@b",
            "a\u{7F}@b", "\"\u{7F}\"@b", "\"\u{1}\"@b", "a\t@b", "<a@b>", "a@b,c@d", "@x,@y:", "@x:", "@x a@b",
            String(repeating: "a", count: 65) + "@b", "a@" + String(repeating: "b", count: 64),
            "a@" + Array(repeating: "abcdefgh", count: 29).joined(separator: "."),
        ]
    )
    func invalidAddresses(address: String) {
        #expect(refusal("MAIL FROM:<\(address)>") == "501 5.1.7", "\(address)")
        #expect(refusal("RCPT TO:<\(address)>") == "501 5.1.3", "\(address)")
    }

    @Test("an address needs its brackets")
    func brackets() {
        #expect(refusal("MAIL FROM:a@b.c") == "501 5.1.7")
        #expect(refusal("MAIL FROM:<a@b.c") == "501 5.1.7")
        #expect(refusal("MAIL FROM:") == "501 5.1.7")
        #expect(refusal("MAIL a@b.c") == "501 5.5.2")
        #expect(refusal("MAIL") == "501 5.5.2")
        #expect(refusal("RCPT FROM:<a@b.c>") == "501 5.5.2")
        #expect(refusal("MAIL FROM:<a@b.c>x") == "501 5.5.2")
    }

    @Test("the null sender, postmaster without a domain, and source routes (RFC 5321 §4.5.1, App. C)")
    func specialPaths() throws {
        #expect(try mail("MAIL FROM:<>").address == "")
        #expect(refusal("RCPT TO:<>") == "501 5.1.3")
        #expect(try recipient("RCPT TO:<Postmaster>").address == "Postmaster")
        #expect(refusal("MAIL FROM:<postmaster>") == "501 5.1.7")
        #expect(try recipient("RCPT TO:<@one.test,@two.test:joe@three.test>").address == "joe@three.test")
        #expect(try mail("mail from: <a@b.c>  ").address == "a@b.c")
    }

    @Test("UTF-8 in an address needs SMTPUTF8, and must be UTF-8")
    func international() throws {
        #expect(refusal("MAIL FROM:<jürgen@example.com>") == "553 5.6.7")
        let path = try mail("MAIL FROM:<jürgen@bücher.example> SMTPUTF8")
        #expect(path.address == "jürgen@bücher.example")
        #expect(path.smtputf8)
        #expect(refusal("MAIL FROM:<a@b.c> SMTPUTF8=yes") == "501 5.5.4")
        let latin1: [UInt8] = Array("MAIL FROM:<j".utf8) + [0xFC] + Array("rgen@b.c> SMTPUTF8".utf8)
        #expect(throws: SMTPCommandError.self) { try SMTPCommand(ByteBuffer(bytes: latin1).readableBytesView) }
    }

    @Test("an international recipient is taken only in an SMTPUTF8 transaction")
    func internationalRecipient() {
        var driver = SessionDriver()
        _ = driver.send("EHLO c\r\nMAIL FROM:<a@b.c>\r\n")
        #expect(driver.send("RCPT TO:<jürgen@b.c>\r\n").first?.hasPrefix("553 5.6.7") == true)
        _ = driver.send("RSET\r\nMAIL FROM:<a@b.c> SMTPUTF8\r\n")
        #expect(driver.send("RCPT TO:<jürgen@b.c>\r\n").first?.hasPrefix("250 2.1.5") == true)
        _ = driver.send("DATA\r\nx\r\n.\r\n")
        #expect(driver.stored.first?.transaction.protocolName == "UTF8SMTP")
        #expect(driver.stored.first?.transaction.usedSMTPUTF8 == true)
    }

    @Test("the parameters of MAIL")
    func mailParameters() throws {
        let path = try mail("MAIL FROM:<a@b.c> size=1000 BODY=8bitmime RET=HDRS ENVID=QQ+2B1 AUTH=e+3Dmc2@example.com")
        #expect(path.size == 1_000)
        #expect(path.body == .eightBitMIME)
        #expect(path.ret == .headers)
        #expect(path.envid == "QQ+2B1")
        #expect(path.auth == "e=mc2@example.com")
        #expect(try mail("MAIL FROM:<a@b.c> AUTH=<>").auth == "")
        #expect(try mail("MAIL FROM:<a@b.c> SIZE=99999999999999999999").size == .max)
    }

    @Test("the parameters of RCPT")
    func recipientParameters() throws {
        let one = try recipient("RCPT TO:<a@b.c> NOTIFY=SUCCESS,delay ORCPT=rfc822;a+2Bx@b.c")
        #expect(one.notify == [.success, .delay])
        #expect(one.orcpt == "rfc822;a+2Bx@b.c")
        #expect(try recipient("RCPT TO:<a@b.c> NOTIFY=NEVER").notify == .never)
        #expect(try recipient("RCPT TO:<a@b.c>").notify == nil)
    }

    @Test(
        "parameters that are malformed or unknown are refused, each with its code",
        arguments: [
            ("MAIL FROM:<a@b.c> SIZE", "501 5.5.4"), ("MAIL FROM:<a@b.c> SIZE=", "501 5.5.2"),
            ("MAIL FROM:<a@b.c> SIZE=-1", "501 5.5.4"), ("MAIL FROM:<a@b.c> SIZE=1 SIZE=1", "501 5.5.4"),
            ("MAIL FROM:<a@b.c> SIZE=999999999999999999999", "501 5.5.4"),
            ("MAIL FROM:<a@b.c> BODY=9BIT", "501 5.5.4"), ("MAIL FROM:<a@b.c> RET=SOME", "501 5.5.4"),
            ("MAIL FROM:<a@b.c> ENVID=+2", "501 5.5.4"), ("MAIL FROM:<a@b.c> ENVID=+0A", "501 5.5.4"),
            ("MAIL FROM:<a@b.c> ENVID=" + String(repeating: "x", count: 101), "501 5.5.4"),
            ("MAIL FROM:<a@b.c> AUTH=+00", "501 5.5.4"), ("MAIL FROM:<a@b.c> FOO=1", "555 5.5.4"),
            ("MAIL FROM:<a@b.c> NOTIFY=NEVER", "555 5.5.4"), ("MAIL FROM:<a@b.c> =1", "501 5.5.2"),
            ("MAIL FROM:<a@b.c> X=1=2", "501 5.5.2"), ("MAIL FROM:<a@b.c> X=\u{7F}", "501 5.5.2"),
            ("RCPT TO:<a@b.c> NOTIFY=NEVER,SUCCESS", "501 5.5.4"), ("RCPT TO:<a@b.c> NOTIFY=,", "501 5.5.4"),
            ("RCPT TO:<a@b.c> ORCPT=a@b.c", "501 5.5.4"), ("RCPT TO:<a@b.c> ORCPT=;a@b.c", "501 5.5.4"),
            ("RCPT TO:<a@b.c> ORCPT=rfc822;a+0D+0Ab", "501 5.5.4"),
            ("RCPT TO:<a@b.c> ORCPT=rfc822;" + String(repeating: "x", count: 500), "501 5.5.4"),
            ("RCPT TO:<a@b.c> FOO", "555 5.5.4"),
        ]
    )
    func badParameters(line: String, reply: String) {
        #expect(refusal(line) == reply, "\(line)")
    }

    @Test("what EHLO may say ends up in header fields, so it is held to a name")
    func hello() throws {
        for name in ["client.example", "[192.0.2.1]", "[IPv6:2001:db8::1]", "my_host", "bücher.example", "a"] {
            guard case .ehlo(name) = try parse("EHLO \(name)") else {
                Issue.record("\(name)")
                continue
            }
        }
        for name in ["", "a b", "a(b)", "a;b", "<a>", "a\u{1}", String(repeating: "a", count: 256)] {
            #expect(refusal("EHLO \(name)") == "501 5.5.4", "\(name)")
        }
    }

    @Test("BDAT needs a size that can be counted, or nobody knows where commands go on")
    func chunkSizes() throws {
        guard case .chunk(size: 0, isLast: true) = try parse("BDAT 0 LAST") else { return #expect(Bool(false)) }
        guard case .chunk(size: 86, isLast: false) = try parse("bdat 86") else { return #expect(Bool(false)) }
        for line in [
            "BDAT", "BDAT x", "BDAT -1", "BDAT 1 FIRST", "BDAT 1LAST", "BDAT 99999999999999999999", "BDAT 1 LAST x",
        ] {
            do {
                _ = try parse(line)
                Issue.record("\(line) was accepted")
            } catch {
                #expect(error.consequence == .hangUp, "\(line)")
            }
        }
    }

    @Test("xtext decodes, and refuses what is none (RFC 3461 §4)")
    func xtext() {
        #expect(SMTPXText.decode("a+2Bb") == "a+b")
        #expect(SMTPXText.decode("+C3+BC") == "ü")
        for bad in ["+", "+2", "+2b", "+GG", "+0A", "+00", "+FF"] { #expect(SMTPXText.decode(bad) == nil, "\(bad)") }
    }
}
