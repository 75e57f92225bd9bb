// AWS3-HTTPS, which tools from before 2021 still speak: an HMAC over the Date header alone. It says who asks and
// when, and leaves the content to TLS.

import Crypto
import MIME
import Model
import Sealing

struct AWS3Signature: Sendable {
    static let scheme = "AWS3-HTTPS"

    private enum Algorithm { case sha256, sha1 }

    let accessKey: Secret<String>
    private let algorithm: Algorithm
    private let signature: [UInt8]

    /// Reads `AWS3-HTTPS AWSAccessKeyId=<key>,Algorithm=HmacSHA256,Signature=<base64>`.
    init(parsing authorization: String) throws(SESAuthenticationProblem) {
        let rest = authorization.dropFirst(Self.scheme.count)
        guard rest.first == " " else { throw .incomplete }
        let parameters = try SESSignature.parameters(rest)
        guard let key = parameters["AWSAccessKeyId"], let signature = parameters["Signature"],
            let bytes = Base64.decode(signature.utf8)
        else { throw .incomplete }
        switch parameters["Algorithm"]?.lowercased() {
        case "hmacsha256": algorithm = .sha256
        case "hmacsha1": algorithm = .sha1
        default: throw .incomplete
        }
        accessKey = Secret(key)
        self.signature = bytes
    }

    func verify(
        _ request: ProviderRequest,
        secret: Secret<String>,
        now: Timestamp
    ) throws(SESAuthenticationProblem) {
        guard let text = request.header("x-amz-date") ?? request.header("date"), let date = MailDate(parsing: text)
        else { throw .incomplete }
        try SESSignature.checkAge(of: date.unixSeconds, now: now)
        let key = SymmetricKey(data: Array(secret.reveal().utf8))
        let expected: [UInt8] =
            switch algorithm {
            case .sha256: Array(HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key))
            case .sha1: Array(HMAC<Insecure.SHA1>.authenticationCode(for: Array(text.utf8), using: key))
            }
        guard constantTimeEquals(expected, signature) else { throw .mismatch }
    }
}
