// What a new login is to be, and what a change makes of one.

package import Model

extension CallerDirectory {
    package struct UserRequest: Sendable {
        /// `nil` makes one up.
        package var username: String?
        /// `nil` takes the user name.
        package var label: String?
        package var allowedIPs: [IPNetwork]?
        package var senderDomains: [DomainPattern]?
        package var ipPool: String?

        package init(
            username: String? = nil, label: String? = nil, allowedIPs: [IPNetwork]? = nil,
            senderDomains: [DomainPattern]? = nil, ipPool: String? = nil
        ) {
            self.username = username
            self.label = label
            self.allowedIPs = allowedIPs
            self.senderDomains = senderDomains
            self.ipPool = ipPool
        }
    }

    /// New values for a login. `nil` leaves a value as it is, and `.some(nil)` takes a bound away.
    package struct UserChange: Sendable {
        package var label: String?
        package var allowedIPs: [IPNetwork]??
        package var senderDomains: [DomainPattern]??
        package var ipPool: String??

        package init() {}
    }
}
