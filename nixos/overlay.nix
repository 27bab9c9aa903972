final: _: {
  golden-generation = final.callPackage ./package.nix { };
}
