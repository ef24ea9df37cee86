interface User {
    name: string;
}
