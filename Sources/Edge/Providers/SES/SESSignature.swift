// The signature of a request, in either of the two forms that SES has taken over the years. The access key id is the
// whole Postern key, and so is the secret access key: of keys only digests are kept, so that the request itself has
// to show it.

import Model
import Sealing

enum SESSignature {
    case v4(AWS4Signature)
    case v3(AWS3Signature)

    /// How far a request's date may be from now, in seconds.
    static let skew: Int64 = 900

    init(of request: ProviderRequest) throws(SESAuthenticationProblem) {
        if let text = request.header("authorization"), text.hasPrefix(AWS4Signature.algorithm) {
            self = .v4(try AWS4Signature(parsing: text))
        } else if let text = request.header("x-amzn-authorization"), text.hasPrefix(AWS3Signature.scheme) {
            self = .v3(try AWS3Signature(parsing: text))
        } else {
            throw .missing
        }
    }

    var accessKey: Secret<String> {
        switch self {
        case .v4(let signature): signature.accessKey
        case .v3(let signature): signature.accessKey
        }
    }

    /// - Parameter request: with its body.
    func verify(
        _ request: ProviderRequest,
        secret: Secret<String>,
        now: Timestamp
    ) throws(SESAuthenticationProblem) {
        switch self {
        case .v4(let signature): try signature.verify(request, secret: secret, now: now)
        case .v3(let signature): try signature.verify(request, secret: secret, now: now)
        }
    }

    static func checkAge(of date: Int64, now: Timestamp) throws(SESAuthenticationProblem) {
        // A date that is far away must not overflow either.
        guard date > now.seconds - skew - 1, date < now.seconds + skew + 1 else { throw .expired }
    }

    /// `Name=value` pairs between commas, with or without spaces; each name once.
    static func parameters(_ text: Substring) throws(SESAuthenticationProblem) -> [String: String] {
        var parameters: [String: String] = [:]
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let pair = part.drop { $0 == " " }.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2, !pair[0].isEmpty, !pair[1].isEmpty,
                parameters.updateValue(String(pair[1].trimmingTrailingSpaces), forKey: String(pair[0])) == nil
            else { throw .incomplete }
        }
        return parameters
    }
}

extension Substring {
    fileprivate var trimmingTrailingSpaces: Substring {
        var text = self
        while text.last == " " { text.removeLast() }
        return text
    }
}
