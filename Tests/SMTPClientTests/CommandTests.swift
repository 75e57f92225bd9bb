// Commands: one line each whatever goes in, and no secret in what is shown.

import NIOCore
import SMTP
import Testing

@testable import SMTPClient

@Suite struct CommandTests {
    private func line(_ command: SMTPClientCommand) -> String {
        var buffer = ByteBuffer()
        command.write(into: &buffer)
        #expect(buffer.readableBytes == command.length)
        return String(buffer: buffer)
    }

    @Test("paths that could break out of their command are refused")
    func paths() {
        for address in [
            "", "a\r\nb@c", "a\n@b", "a\0@b", "a@b>", "<a@b", "a b@c", "a@b SIZE=1", "\"a@b", "\"a\\\"@b", "a\\>@b",
            "a\u{7F}@b",
            String(repeating: "a", count: 255),
        ] {
            #expect(SMTPPath(address) == nil, "\(address)")
        }
        for address in ["a@b", "postmaster", "\"a b>\"@c", "\"a\\\"b\"@c", "a@[192.0.2.1]", "ü@b", "a+b=c@d.e"] {
            #expect(SMTPPath(address)?.text == address)
        }
        #expect(SMTPPath("ü@b")?.isInternationalized == true)
        #expect(SMTPPath("a@b")?.isInternationalized == false)
    }

    @Test("names for EHLO")
    func names() {
        #expect(SMTPHelloName("mail.example.com")?.text == "mail.example.com")
        #expect(SMTPHelloName("[192.0.2.1]")?.text == "[192.0.2.1]")
        for name in ["", "a b", "a\r\nRSET", "ü", String(repeating: "a", count: 256)] {
            #expect(SMTPHelloName(name) == nil)
        }
    }

    @Test("xtext leaves nothing that ends a parameter")
    func xtext() throws {
        let parameter = SMTPParameter.envid("a b+c=d\r\nRCPT ü")
        #expect(parameter.text == "ENVID=a+20b+2Bc+3Dd+0D+0ARCPT+20+C3+BC")
        #expect(SMTPParameter.orcpt("rfc822;a b@c")?.text == "ORCPT=rfc822;a+20b@c")
        #expect(SMTPParameter.orcpt("no type") == nil)
        #expect(SMTPParameter.orcpt("rfc 822;x") == nil)
        #expect(SMTPParameter.orcpt(";x") == nil)
        #expect(SMTPNotify.never.parameter == "NEVER")
        #expect(SMTPNotify([.success, .delay]).parameter == "SUCCESS,DELAY")
    }

    @Test("commands on the wire")
    func lines() throws {
        let path = try #require(SMTPPath("a@b"))
        #expect(line(.mail(.null, [.size(5), .body8Bit])) == "MAIL FROM:<> SIZE=5 BODY=8BITMIME\r\n")
        #expect(line(.rcpt(path, [])) == "RCPT TO:<a@b>\r\n")
        #expect(line(.endOfData) == ".\r\n")
        #expect(line(.auth(.login, initial: nil)) == "AUTH LOGIN\r\n")
        #expect(line(.authCancel) == "*\r\n")
    }

    @Test("no way of printing shows a password")
    func secrets() {
        let credentials = SMTPCredentials(username: "alice", password: "s3cret")
        let destination = SMTPDestination(host: "h", credentials: credentials, heloName: "c")
        var dumped = ""
        dump(destination, to: &dumped)
        for text in ["\(credentials)", String(reflecting: credentials), "\(destination)", dumped] {
            #expect(!text.contains("s3cret"))
            #expect(text.contains("alice"))
        }
        let response = SMTPAuthResponse(Array("s3cret".utf8))
        for command in [SMTPClientCommand.auth(.plain, initial: response), .authResponse(response)] {
            #expect(command.redacted.contains("<redacted>"))
            #expect(!"\(command) \(command.redacted)".contains(response.encoded))
        }
    }
}

@Suite struct TranscriptTests {
    @Test("a long transcript keeps its beginning and its end")
    func bounded() {
        var transcript = SMTPTranscript(limit: 200)
        for number in 0..<1000 { transcript.note("line \(number)") }
        #expect(transcript.description.utf8.count < 240)
        #expect(transcript.lines.first == "* line 0")
        #expect(transcript.lines.last == "* line 999")
        #expect(transcript.lines.contains { $0.hasSuffix("lines left out") })
    }

    @Test("a line longer than all of it does not stay")
    func longLine() {
        var transcript = SMTPTranscript(limit: 100)
        transcript.server(SMTPReply(250, nil, String(repeating: "x", count: 1000)))
        transcript.note("end")
        #expect(transcript.lines == ["* 1 lines left out", "* end"])
    }
}

@Suite struct CapabilitiesTests {
    @Test("keywords in any case and order, unknown ones ignored")
    func keywords() {
        let capabilities = SMTPCapabilities(
            ehlo: .reply(
                250,
                "STARTTLS",
                "pipelining",
                "X-FOO a b",
                "Size 35882577",
                "8bitmime",
                "auth plain LOGIN CRAM-MD5"
            )
        )
        #expect(!capabilities.startTLS)
        #expect(capabilities.pipelining)
        #expect(capabilities.eightBitMIME)
        #expect(!capabilities.utf8)
        #expect(capabilities.maximumSize == 35_882_577)
        #expect(capabilities.authentication == [.plain, .login])
    }

    @Test("SIZE without a limit, and the draft form of AUTH")
    func oddities() {
        let none = SMTPCapabilities(ehlo: .reply(250, "x", "SIZE", "AUTH=LOGIN"))
        #expect(none.size && none.maximumSize == nil)
        #expect(none.authentication == [.login])
        #expect(SMTPCapabilities(ehlo: .reply(250, "x", "SIZE 0")).maximumSize == nil)
        #expect(SMTPCapabilities(ehlo: .reply(250, "x", "SIZE 99999999999999999999999")).maximumSize == nil)
    }
}
