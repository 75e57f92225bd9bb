// What several providers' requests have in common: a key in the Authorization field, and a media type.

extension ProviderRequest {
    /// What follows the scheme's name in the Authorization field; the name is compared without case (RFC 9110 §11.1).
    func authorization(_ scheme: String) -> String? {
        guard let field = header("authorization"), let space = field.firstIndex(of: " "),
            field[..<space].lowercased() == scheme
        else { return nil }
        let credentials = field[space...].drop { $0 == " " }
        return credentials.isEmpty ? nil : String(credentials)
    }

    /// The Content-Type in lower case and without its parameters; empty where there is none.
    var mediaType: String {
        let type = (header("content-type") ?? "").prefix { $0 != ";" }
        return type.split(separator: " ").joined().lowercased()
    }
}
