"""The built-in recipes: one GAN a file, named after it."""
