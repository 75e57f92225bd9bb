// Signature Version 4: an HMAC over the method, the path, the query, the headers that it names, and the body.

import Crypto
import MIME
import Model
import Sealing

struct AWS4Signature: Sendable {
    static let algorithm = "AWS4-HMAC-SHA256"
    private static let terminator = "aws4_request"
    private static let service = "ses"

    let accessKey: Secret<String>
    /// `20261120`.
    private let date: String
    private let region: String
    private let signedHeaders: [String]
    /// Hexadecimal, in lower case.
    private let signature: String

    /// Reads `AWS4-HMAC-SHA256 Credential=<key>/<date>/<region>/ses/aws4_request, SignedHeaders=a;b, Signature=<hex>`.
    init(parsing authorization: String) throws(SESAuthenticationProblem) {
        let rest = authorization.dropFirst(Self.algorithm.count)
        guard rest.first == " " else { throw .incomplete }
        let parameters = try SESSignature.parameters(rest)
        guard let credential = parameters["Credential"], let headers = parameters["SignedHeaders"],
            let signature = parameters["Signature"]
        else { throw .incomplete }
        let scope = credential.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard scope.count == 5, scope.allSatisfy({ !$0.isEmpty }), scope[3] == Self.service, scope[4] == Self.terminator
        else { throw .incomplete }
        accessKey = Secret(scope[0])
        (date, region) = (scope[1], scope[2])
        signedHeaders = headers.split(separator: ";", omittingEmptySubsequences: false).map(String.init)
        self.signature = signature
        // Without Host a request could be taken to another place.
        guard signedHeaders.contains("host") else { throw .incomplete }
    }

    func verify(
        _ request: ProviderRequest,
        secret: Secret<String>,
        now: Timestamp
    ) throws(SESAuthenticationProblem) {
        guard let stamp = try Self.stamp(of: request) else { throw .incomplete }
        try SESSignature.checkAge(of: stamp.seconds, now: now)
        guard stamp.text.hasPrefix(date + "T"), let canonical = canonicalRequest(request) else { throw .mismatch }
        let scope = [date, region, Self.service, Self.terminator]
        let hash = Digest.hexadecimal(Digest.sha256(canonical))
        let text = [Self.algorithm, stamp.text, scope.joined(separator: "/"), hash].joined(separator: "\n")
        var key = SymmetricKey(data: Array("AWS4\(secret.reveal())".utf8))
        for part in scope { key = SymmetricKey(data: Self.code(of: part, key)) }
        let expected = Digest.hexadecimal(Self.code(of: text, key))
        guard constantTimeEquals(Array(expected.utf8), Array(signature.utf8)) else { throw .mismatch }
    }

    private static func code(of text: String, _ key: SymmetricKey) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key))
    }

    /// The moment of signing as the signature has it, `20261120T180000Z`: from X-Amz-Date, or from Date in either form.
    private static func stamp(
        of request: ProviderRequest
    ) throws(SESAuthenticationProblem) -> (text: String, seconds: Int64)? {
        guard let text = request.header("x-amz-date") ?? request.header("date") else { return nil }
        if let seconds = seconds(ofBasic: text) { return (text, seconds) }
        guard request.header("x-amz-date") == nil, let date = MailDate(parsing: text) else { throw .incomplete }
        let extended = Timestamp(milliseconds: date.unixSeconds * 1000).description
        let basic = extended.prefix(19).filter { $0 != "-" && $0 != ":" } + "Z"
        return (String(basic), date.unixSeconds)
    }

    /// ISO 8601 in its basic form, UTC.
    private static func seconds(ofBasic text: String) -> Int64? {
        let bytes = Array(text.utf8)
        guard bytes.count == 16, bytes[8] == UInt8(ascii: "T"), bytes[15] == UInt8(ascii: "Z") else { return nil }
        func part(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
        let date = "\(part(0..<4))-\(part(4..<6))-\(part(6..<8))"
        return Timestamp("\(date)T\(part(9..<11)):\(part(11..<13)):\(part(13..<15))Z")?.seconds
    }
}

// MARK: - The canonical request

extension AWS4Signature {
    /// - Returns: `nil` when a header is named as signed that is not there.
    private func canonicalRequest(_ request: ProviderRequest) -> String? {
        var headers = ""
        for name in signedHeaders {
            let values = request.headers.filter { $0.name == name }.map { Self.canonicalValue($0.value) }
            guard !values.isEmpty else { return nil }
            headers += "\(name):\(values.joined(separator: ","))\n"
        }
        return [
            request.method, Self.canonicalPath(request.path), Self.canonicalQuery(request.query), headers,
            signedHeaders.joined(separator: ";"), Digest.hexadecimal(Digest.sha256(request.body)),
        ].joined(separator: "\n")
    }

    /// Without white space at the ends, and with one space for several.
    private static func canonicalValue(_ value: String) -> String {
        value.utf8.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
            .map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
    }

    /// The path as it was sent, without dot segments and double slashes, encoded once more.
    private static func canonicalPath(_ path: String) -> String {
        var segments: [Substring] = []
        for segment in path.split(separator: "/") where segment != "." {
            if segment != ".." {
                segments.append(segment)
            } else if !segments.isEmpty {
                segments.removeLast()
            }
        }
        let end = path.hasSuffix("/") && !segments.isEmpty ? "/" : ""
        return "/" + segments.map { encode($0.utf8) }.joined(separator: "/") + end
    }

    /// Sorted by encoded name, then by encoded value.
    private static func canonicalQuery(_ query: String) -> String {
        query.split(separator: "&").map { part in
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (encode(decode(pair[0])), pair.count == 2 ? encode(decode(pair[1])) : "")
        }
        .sorted { $0 < $1 }.map { "\($0)=\($1)" }.joined(separator: "&")
    }

    private static func decode(_ text: Substring) -> [UInt8] {
        let bytes = Array(text.utf8)
        var decoded: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count,
                let byte = UInt8(String(decoding: bytes[(index + 1)...(index + 2)], as: UTF8.self), radix: 16)
            {
                decoded.append(byte)
                index += 3
            } else {
                decoded.append(bytes[index])
                index += 1
            }
        }
        return decoded
    }

    /// RFC 3986: all but unreserved characters as `%XX`.
    private static func encode(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var encoded: [UInt8] = []
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: "~"):
                encoded.append(byte)
            default:
                encoded += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }
}
