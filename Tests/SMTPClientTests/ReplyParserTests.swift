// Replies as servers send them, whole and in pieces, and as hostile ones do.

import NIOCore
import SMTP
import Testing

@testable import SMTPClient

private func parse(_ text: String, limits: SMTPClientLimits = SMTPClientLimits()) throws -> [SMTPReply] {
    var parser = SMTPReplyParser(limits: limits)
    var bytes = ByteBuffer(string: text)
    parser.append(&bytes)
    var replies: [SMTPReply] = []
    while let reply = try parser.next() { replies.append(reply) }
    return replies
}

@Suite struct ReplyParserTests {
    @Test(
        "a reply is its code, its enhanced code and its lines",
        arguments: [
            ("250 ok\r\n", SMTPReply(250, nil, "ok")),
            ("250\r\n", SMTPReply(250, nil, "")),
            ("250 \r\n", SMTPReply(250, nil, "")),
            ("250 2.1.5 ok\r\n", SMTPReply(250, EnhancedCode(2, 1, 5), "ok")),
            ("550 5.7.26\r\n", SMTPReply(550, EnhancedCode(5, 7, 26), "")),
            ("550-5.1.1 no\r\n550 5.1.1 such\r\n", SMTPReply(550, EnhancedCode(5, 1, 1), ["no", "such"])),
            ("550-5.1.1 no\r\n550 such\r\n", SMTPReply(550, EnhancedCode(5, 1, 1), ["no", "such"])),
            ("550-5.1.1 no\r\n550 5.1.2 x\r\n", SMTPReply(550, EnhancedCode(5, 1, 1), ["no", "5.1.2 x"])),
            ("250-a\r\n250-\r\n250 c\r\n", SMTPReply(250, nil, ["a", "", "c"])),
            ("334 VXNlcm5hbWU6\r\n", SMTPReply(334, nil, "VXNlcm5hbWU6")),
            ("354 2.0.0 go\r\n", SMTPReply(354, nil, "2.0.0 go")),
            ("250 ok\n", SMTPReply(250, nil, "ok")),
            ("220 10.20.30.40 hello\r\n", SMTPReply(220, nil, "10.20.30.40 hello")),
            ("250 2.1234.5 x\r\n", SMTPReply(250, nil, "2.1234.5 x")),
            ("250 3.1.5 x\r\n", SMTPReply(250, nil, "3.1.5 x")),
            ("250 2.1.5x\r\n", SMTPReply(250, nil, "2.1.5x")),
            ("599 x\r\n", SMTPReply(599, nil, "x")),
        ]
    )
    func replies(text: String, expected: SMTPReply) throws {
        #expect(try parse(text) == [expected])
    }

    @Test("a peer's words cannot move a terminal's cursor or break a log line, and are always text")
    func readable() throws {
        let bytes: [UInt8] = Array("550 a".utf8) + [0, 0x1B, 0x08, 0x0D, 0x7F, 0xFF, 0xC3, 0xBC] + Array(" \r\n".utf8)
        var parser = SMTPReplyParser(limits: SMTPClientLimits())
        var buffer = ByteBuffer(bytes: bytes)
        parser.append(&buffer)
        #expect(try parser.next()?.lines == ["a     \u{FFFD}ü"])
    }

    @Test(
        "replies split at any two bytes are the same replies",
        arguments: ["250-x\r\n250 2.0.0 y\r\n354 go\r\n250 ü\r\n"]
    )
    func dripFeed(text: String) throws {
        let whole = try parse(text)
        let bytes = Array(text.utf8)
        for first in 0...bytes.count {
            for second in first...bytes.count {
                var parser = SMTPReplyParser(limits: SMTPClientLimits())
                var replies: [SMTPReply] = []
                for piece in [bytes[..<first], bytes[first..<second], bytes[second...]] {
                    var buffer = ByteBuffer(bytes: piece)
                    parser.append(&buffer)
                    while let reply = try parser.next() { replies.append(reply) }
                }
                #expect(replies == whole)
                #expect(!parser.hasUnreadBytes)
            }
        }
    }

    @Test("one byte at a time, and what is left is known to be left")
    func bytewise() throws {
        var parser = SMTPReplyParser(limits: SMTPClientLimits())
        var replies: [SMTPReply] = []
        for byte in "220-a\r\n220 b\r\n25".utf8 {
            var buffer = ByteBuffer(bytes: [byte])
            parser.append(&buffer)
            if let reply = try parser.next() { replies.append(reply) }
        }
        #expect(replies == [SMTPReply(220, nil, ["a", "b"])])
        #expect(parser.hasUnreadBytes)
    }

    @Test("half a reply is unread, even where its lines are complete")
    func halfReply() throws {
        var parser = SMTPReplyParser(limits: SMTPClientLimits())
        var buffer = ByteBuffer(string: "220-a\r\n")
        parser.append(&buffer)
        #expect(try parser.next() == nil)
        #expect(parser.hasUnreadBytes)
    }
}

@Suite struct HostileReplyTests {
    @Test(
        "what is no reply is refused",
        arguments: [
            "\r\n", "\n", "2\r\n", "25\r\n", "250x ok\r\n", "2500 ok\r\n", "abc\r\n", " 250 ok\r\n", "199 x\r\n",
            "600 x\r\n",
            "000 x\r\n", "250_x\r\n", "\0\0\0 x\r\n", "２５０ x\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 400 Bad\r\n",
        ]
    )
    func malformed(text: String) {
        #expect(throws: SMTPReplyError.malformed) { try parse(text) }
    }

    @Test("lines of one reply with different codes are refused")
    func codeChanged() {
        #expect(throws: SMTPReplyError.codeChanged(from: 250, to: 550)) { try parse("250-a\r\n550 b\r\n") }
    }

    @Test("an endless line is refused as soon as it is too long, complete or not", arguments: [true, false])
    func endlessLine(isComplete: Bool) throws {
        var limits = SMTPClientLimits()
        limits.replyLineLength = 512
        let fits = "250 " + String(repeating: "x", count: 506) + "\r\n"
        #expect(try parse(fits, limits: limits).count == 1)
        let long = "250 " + String(repeating: "x", count: 509) + (isComplete ? "\r\n" : "")
        #expect(throws: SMTPReplyError.lineTooLong(limit: 512)) { try parse(long, limits: limits) }
    }

    @Test("an endless reply is refused")
    func endlessReply() throws {
        var limits = SMTPClientLimits()
        limits.replyLines = 3
        #expect(try parse("250-\r\n250-\r\n250 \r\n", limits: limits).count == 1)
        #expect(throws: SMTPReplyError.tooManyLines(limit: 3)) {
            try parse("250-\r\n250-\r\n250-\r\n250 \r\n", limits: limits)
        }
    }

    @Test("a line fed byte by byte is looked through once", .timeLimit(.minutes(1)))
    func linear() throws {
        var limits = SMTPClientLimits()
        limits.replyLineLength = 1 << 20
        var parser = SMTPReplyParser(limits: limits)
        var first = ByteBuffer(string: "250 ")
        parser.append(&first)
        // Quadratic work would be some 10^9 steps here.
        for _ in 0..<60_000 {
            var buffer = ByteBuffer(bytes: [0x78])
            parser.append(&buffer)
            guard try parser.next() == nil else { return #expect(Bool(false), "no line end has come yet") }
        }
        var last = ByteBuffer(string: "\r\n")
        parser.append(&last)
        #expect(try parser.next()?.lines[0].utf8.count == 60_000)
    }

    @Test("random bytes never crash, and never make more lines than there are line ends")
    func random() {
        var generator = SplitMix(seed: 7)
        for _ in 0..<3000 {
            let alphabet = Array("245 -.\r\n0\u{0}x".utf8) + [0xFF]
            let bytes = (0..<Int.random(in: 0...64, using: &generator)).map { _ in
                alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
            }
            var parser = SMTPReplyParser(limits: SMTPClientLimits())
            var buffer = ByteBuffer(bytes: bytes)
            parser.append(&buffer)
            var lines = 0
            while let reply = try? parser.next() { lines += reply.lines.count }
            #expect(lines <= bytes.count { $0 == 0x0A })
        }
    }
}

/// A seeded generator, so that a failure can be had again.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
