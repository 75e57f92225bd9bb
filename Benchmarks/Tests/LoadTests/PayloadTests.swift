// What goes over the wire is what the figures claim: the size asked for, a number of its own for each message, no line
// that a server would have to unstuff or refuse.

import Testing

@testable import Load

@Suite struct PayloadTests {
    private func bytes(_ payload: Payload, _ serial: Int) -> String {
        var payload = payload
        return payload.withBytes(serial: serial) { String(decoding: $0, as: UTF8.self) }
    }

    @Test(
        "a mail has the size asked for, and ends with the end of data",
        arguments: [600, 1_024, 4_096, 4_097, 100_000]
    )
    func mailSize(size: Int) {
        let mail = bytes(.mail(size: size, from: "a@example.com", to: "b@example.net", run: "r"), 7)
        #expect(mail.utf8.count == size + 3)
        #expect(mail.hasSuffix("\r\n.\r\n"))
    }

    @Test("no line is too long, is empty within the text, begins with a dot or ends in a bare LF")
    func mailLines() {
        let mail = bytes(.mail(size: 20_000, from: "a@example.com", to: "b@example.net", run: "r"), 7)
        let lines = mail.utf8.split(separator: 10, omittingEmptySubsequences: false).dropLast()
        #expect(lines.allSatisfy { $0.last == 13 && $0.count <= 100 })
        #expect(lines.dropLast().allSatisfy { $0.first != UInt8(ascii: ".") })
        #expect(lines.filter { $0.count == 1 }.count == 1, "one empty line, after the headers")
    }

    @Test("each message has its own Message-ID")
    func serial() {
        let payload = Payload.mail(size: 600, from: "a@example.com", to: "b@example.net", run: "r")
        #expect(bytes(payload, 1).contains("Message-ID: <00000001.r@bench.example.com>\r\n"))
        #expect(bytes(payload, 12_345_678).contains("Message-ID: <12345678.r@bench.example.com>\r\n"))
    }

    @Test("a canonical request carries a body of the size asked for and says so", arguments: [600, 4_096, 4_099])
    func canonicalSize(size: Int) throws {
        let request = bytes(
            .canonical(
                size: size,
                from: "a@example.com",
                to: "b@example.net",
                run: "r",
                path: "/v1/send",
                authority: "h:1",
                authorization: "Bearer k"
            ),
            42
        )
        let head = try #require(request.utf8.firstRange(of: Array("\r\n\r\n".utf8)))
        let body = String(request[head.upperBound...])
        #expect(body.utf8.count == size)
        #expect(request.contains("Content-Length: \(size)\r\n"))
        #expect(request.contains("Authorization: Bearer k\r\n"))
        #expect(body.contains("\"subject\":\"Benchmark r 00000042\""))
        #expect(body.hasPrefix("{") && body.hasSuffix("\"}}"))
    }

    @Test("requests go round their paths")
    func paths() {
        let payload = Payload.requests(paths: ["/a", "/b"], authority: "h:1", authorization: nil)
        #expect(bytes(payload, 0) == "GET /a HTTP/1.1\r\nHost: h:1\r\n\r\n")
        #expect(bytes(payload, 3).hasPrefix("GET /b "))
    }

    @Test(
        "base64 as RFC 4648 gives it",
        arguments: [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
    )
    func base64Vectors(plain: String, encoded: String) {
        #expect(base64(Array(plain.utf8)) == encoded)
    }

    @Test("a report counts what was accepted apart from what was not, and is one line")
    func report() {
        var report = Report(expecting: 3)
        report.start()
        report.accept(since: .now)
        report.refuse("452 \"full\"\nindeed", wasMessage: true)
        report.stop()
        #expect(report.json.contains("\"accepted\":1,\"refused\":1,"))
        #expect(report.json.contains(#""problem":"452 \"full\" indeed""#))
        #expect(!report.json.contains("\n"))
    }
}
