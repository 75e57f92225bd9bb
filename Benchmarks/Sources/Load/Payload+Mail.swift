// The mail that the benchmarks send: one plain-text message, as RFC 5322 for SMTP and as the canonical JSON for HTTP.

import Glibc

extension Payload {
    /// A message of `size` octets with its own Message-ID, dot-stuffed by construction (no line begins with a dot), and
    /// the end-of-data mark behind it, which is not counted.
    package static func mail(size: Int, from sender: String, to recipient: String, run: String) -> Payload {
        let head = """
            From: Postern bench <\(sender)>\r
            To: <\(recipient)>\r
            Subject: Benchmark \(run)\r
            Date: \(rfc5322Now())\r
            Message-ID: <\(placeholder).\(run)@bench.example.com>\r
            MIME-Version: 1.0\r
            Content-Type: text/plain; charset=utf-8\r
            \r

            """
        return Payload(template: head + filling(size - head.utf8.count, lineEnd: "\r\n") + ".\r\n")
    }

    /// `POST path` with a canonical message (a JSON body of `size` octets) and its own subject.
    package static func canonical(
        size: Int,
        from sender: String,
        to recipient: String,
        run: String,
        path: String,
        authority: String,
        authorization: String?
    ) -> Payload {
        let start = """
            {"recipient":"\(recipient)","envelope":"\(sender)","tags":["bench"],"mime":{"to":"\(recipient)",\
            "from":{"address":"\(sender)","name":"Postern bench"},"subject":"Benchmark \(run) \(placeholder)","text":"
            """
        let end = "\"}}"
        let body = start + filling(size - start.utf8.count - end.utf8.count, lineEnd: "\\r\\n") + end
        return Payload(
            template: """
                POST \(path) HTTP/1.1\r
                Host: \(authority)\r
                \(header("Authorization", authorization))Content-Type: application/json\r
                Content-Length: \(body.utf8.count)\r
                \r
                \(body)
                """
        )
    }

    /// `GET` of each path in turn.
    package static func requests(paths: [String], authority: String, authorization: String?) -> Payload {
        Payload(
            variants: paths.map { path in
                "GET \(path) HTTP/1.1\r\nHost: \(authority)\r\n\(header("Authorization", authorization))\r\n"
            }
        )
    }

    private static func header(_ name: String, _ value: String?) -> String {
        value.map { "\(name): \($0)\r\n" } ?? ""
    }

    /// Lines of text, `size` octets together, the last with its line end; at least one short line.
    static func filling(_ size: Int, lineEnd: String) -> String {
        let words = "the quick brown fox jumps over the lazy dog and back through the gate again "
        let full = String(words.prefix(74))
        var text = ""
        var left = max(size, lineEnd.utf8.count + 1)
        while left > 0 {
            // A rest too small for a line of its own goes into this one; at most 87 octets: RFC 5322 §2.1.1 allows 998.
            let fits = left <= 74 + lineEnd.utf8.count + 9
            let width = fits ? left - lineEnd.utf8.count : full.utf8.count
            text += (full + "and more words").prefix(width) + lineEnd
            left -= width + lineEnd.utf8.count
        }
        return text
    }

    /// `Thu, 20 Nov 2025 18:00:00 +0000`.
    private static func rfc5322Now() -> String {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 40) { text in
            let length = strftime(text.baseAddress, text.count, "%a, %d %b %Y %H:%M:%S +0000", &parts)
            return String(decoding: text[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }
}
