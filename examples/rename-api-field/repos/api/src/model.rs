struct User {
    name: String,
}
